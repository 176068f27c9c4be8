#pragma once
#include <functional>
#include <memory>

#include "base/json.h"
#include "base/result.h"

namespace locald::server {

/// The answer to one request (ipc/api.h): any number of events where the request
/// is a stream, then exactly one of result and error. Loop thread only; held by
/// whoever answers, so it may come long after. Dropped unanswered, the client is
/// told so. After the client hung up everything is ignored.
class Reply {
 public:
  virtual ~Reply() = default;
  virtual void event(const Json& event) = 0;  ///< dropped where the request is no stream
  virtual void result(Json result) = 0;
  virtual void error(const Error& error) = 0;
  virtual void error(Json error) = 0;  ///< {"code", "message", "hint", …}
  /// Called at most once, when the client hangs up before the answer is complete.
  virtual void on_hangup(std::function<void()> call) = 0;
};
using ReplyPtr = std::shared_ptr<Reply>;

}  // namespace locald::server
