#include "builder/pull_turns.h"

namespace locald::builder {

PullTurns::Turn::~Turn() {
  if (all_ == nullptr) return;
  const std::lock_guard lock(all_->mutex_);
  const auto it = all_->pulls_.find(key_);
  it->second.busy = false;
  it->second.last.reset();
  if (it->second.waiting.empty()) all_->pulls_.erase(it);
  all_->changed_.notify_all();
}

void PullTurns::Turn::tell(const PrepareProgress& progress) const {
  const std::lock_guard lock(all_->mutex_);
  Pull& pull = all_->pulls_[key_];
  pull.last = progress;
  for (const Sink* sink : pull.waiting) (*sink)(progress);
}

Result<PullTurns::Turn> PullTurns::take(const std::string& key, const Sink& progress,
                                        const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  Pull& pull = pulls_[key];  // stays where it is while somebody waits for it
  if (pull.busy) {
    static const Sink kNobody = [](const PrepareProgress&) {};
    const auto me = pull.waiting.insert(pull.waiting.end(), progress ? &progress : &kNobody);
    if (pull.last) (**me)(*pull.last);
    const bool mine = changed_.wait(lock, stop, [&] { return !pull.busy; });
    pull.waiting.erase(me);
    if (!mine) {
      if (!pull.busy && pull.waiting.empty()) pulls_.erase(key);
      return Error(Errc::cancelled, "cancelled");
    }
  }
  pull.busy = true;
  return Turn(*this, key);
}

}  // namespace locald::builder
