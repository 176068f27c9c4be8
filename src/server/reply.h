#pragma once
#include <functional>
#include <memory>

#include "base/json.h"
#include "base/result.h"

namespace locald::server {

/// The answer to one request. The first call decides its form: event() makes it
/// a stream of lines, result() or error() alone one object (ipc/api.h). Exactly one
/// result() or error() ends it; what is said after that, or after the client has
/// hung up, is dropped. Loop thread only; keep the shared_ptr as long as you may answer.
class Reply {
 public:
  virtual ~Reply() = default;
  virtual void event(const Json& event) = 0;
  virtual void result(Json result) = 0;
  virtual void error(const Error& error) = 0;
  /// As error(), with more members in the "error" object.
  virtual void error(const Error& error, const Json::Object& more) = 0;
  /// Called once if the client goes before the end.
  virtual void on_hangup(std::function<void()> gone) = 0;
  virtual bool open() const = 0;  ///< not ended, client still there
};
using ReplyPtr = std::shared_ptr<Reply>;

}  // namespace locald::server
