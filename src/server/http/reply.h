#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/json/fields.h"
#include "base/result.h"

namespace locald::server {

/// Where a Reply goes: a client's connection; in tests, what keeps it. Loop thread only.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void event(const JsonText& event) = 0;
  virtual void result(const JsonText& result) = 0;
  virtual void error(const Error& error, const Json::Object& more) = 0;
  /// Calls `gone` once if the client goes before the end; said once.
  virtual void on_hangup(std::function<void()> gone) = 0;
  virtual bool connected() const = 0;
};

/// The answer to one request. The first call decides its form: event() makes it
/// a stream of lines, result() or error() alone one object (ipc/api.h). One
/// result() or error() ends it; what is said after that, or after the client has
/// hung up, is dropped. Loop thread only; keep the shared_ptr as long as you may answer.
///
/// R-ONE-END: where the last shared_ptr is dropped without an answer, the reply answers itself,
/// with what `if_dropped` was given last. Owners whose end takes requests along (a project, a
/// container) do not rely on that: they answer, and name the reason.
class Reply {
 public:
  explicit Reply(std::unique_ptr<ReplySink> sink);
  ~Reply();
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  void event(const JsonText& event);
  void event(const Json& event) { this->event(JsonText(event.dump())); }
  void result(const JsonText& result);
  void result(const Json& result) { this->result(JsonText(result.dump())); }
  /// An event of ipc/messages; the request's own Reply.
  template <class T>
  requires requires { T::fields(); }
  void event(const T& value) { event(encode_text(value)); }
  template <class T>
  requires requires { T::fields(); }
  void result(const T& value) { result(encode_text(value)); }
  /// @param more  further members of the "error" object.
  void error(const Error& error, const Json::Object& more = {});
  /// Each is called once if the client goes before the end, in the order given.
  void on_hangup(std::function<void()> gone);
  bool open() const;  ///< not ended, client still there
  void if_dropped(Error error) { if_dropped_ = std::move(error); }

 private:
  bool end();

  using Calls = std::vector<std::function<void()>>;
  std::unique_ptr<ReplySink> sink_;
  std::shared_ptr<Calls> gone_;
  std::optional<Error> if_dropped_;
  bool ended_ = false;
};
using ReplyPtr = std::shared_ptr<Reply>;

}  // namespace locald::server
