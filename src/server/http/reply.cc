#include "server/http/reply.h"

#include <utility>

namespace locald::server {

Reply::Reply(std::unique_ptr<ReplySink> sink) : sink_(std::move(sink)) {}

Reply::~Reply() {
  if (!open()) return;
  error(if_dropped_ ? *if_dropped_
                    : Error(Errc::cancelled, "the request was dropped before it was answered")
                          .with_hint("try again; what happened is in the server's log: locald "
                                     "server status names its folder"));
}

void Reply::event(const JsonText& event) {
  if (open()) sink_->event(event);
}

void Reply::result(const JsonText& result) {
  if (end()) sink_->result(result);
}

void Reply::error(const Error& error, const Json::Object& more) {
  if (end()) sink_->error(error, more);
}

bool Reply::end() {
  if (!open()) return false;
  ended_ = true;
  if (gone_) gone_->clear();  // they may own what is large
  return true;
}

void Reply::on_hangup(std::function<void()> gone) {
  if (!open()) return;
  if (!gone_) {
    gone_ = std::make_shared<Calls>();
    sink_->on_hangup([calls = gone_] {
      for (const auto& call : std::exchange(*calls, {})) call();
    });
  }
  gone_->push_back(std::move(gone));
}

bool Reply::open() const { return !ended_ && sink_->connected(); }

}  // namespace locald::server
