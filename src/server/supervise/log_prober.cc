#include "server/supervise/log_prober.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::server {
namespace {

// std::regex recurses per character: a line of megabytes would overflow the stack.
constexpr std::size_t kMaxMatched = 2048;  // bytes of a line that are looked at
constexpr int kLinesAtOnce = 2000;         // then the loop has its turn

/// The first segment that the instance wrote; if it has none yet, the one after all others.
std::uint64_t first_segment_of(const std::string& dir, const std::string& nonce) {
  std::uint64_t first = UINT64_MAX, last = 0;
  auto fd = sys::open(dir, O_RDONLY | O_DIRECTORY);
  if (!fd) return 0;
  (void)list_dir(fd->get(), [&](const std::string& file, unsigned char) -> Result<void> {
    if (!file.ends_with(".idx")) return {};
    const auto number = parse_u64(std::string_view(file).substr(0, file.size() - 4));
    if (!number) return {};
    last = std::max(last, *number);
    LogIndexHeader header{};
    auto idx = sys::openat(fd->get(), file, O_RDONLY);
    if (idx && ::pread(idx->get(), &header, sizeof header, 0) == sizeof header &&
        std::strncmp(header.instance, nonce.c_str(), sizeof header.instance) == 0)
      first = std::min(first, *number);
    return {};
  });
  return first != UINT64_MAX ? first : last + 1;
}

}  // namespace

LogProber::LogProber(EventLoop& loop, std::string log_dir, std::string nonce,
                     const std::string& pattern)
    : loop_(loop), log_dir_(std::move(log_dir)), nonce_(std::move(nonce)) {
  try {
    pattern_.assign(pattern, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error&) {
    // Was checked when the file was read.
  }
}

void LogProber::start(project::Milliseconds timeout, Done done) {
  done_ = std::move(done);
  if (!seen_ && !reader_) {
    auto reader = LogReader::open(
        {{.dir = log_dir_, .from = {first_segment_of(log_dir_, nonce_), 0}}}, {.follow = true});
    if (!reader) {
      timer_ = loop_.after(project::Milliseconds(0), [this, error = reader.error()] {
        finish(net::Verdict::unknown(error));
      });
      return;
    }
    reader_.emplace(std::move(*reader));
  }
  timer_ = loop_.after(seen_ ? project::Milliseconds(0) : timeout, [this] {
    if (seen_) return finish(Result<void>());
    finish(Error(Errc::timed_out, "no line of its log has matched yet"));
  });
  if (seen_) return;
  watch_ = loop_.watch_readable(reader_->fd(), [this] { read(); });
  // Existing lines make no event.
  loop_.post([this, weak = std::weak_ptr<bool>(alive_)] {
    if (!weak.expired() && done_) read();
  });
}

void LogProber::read() {
  LogLine line;
  for (int n = 0; n < kLinesAtOnce; ++n) {
    auto more = reader_->next(line);
    if (!more) return finish(net::Verdict::unknown(more.error()));
    if (!*more) return;
    if (line.instance != nonce_ || line.stream == LogStream::note) continue;
    const std::string text(line.text.substr(0, kMaxMatched));
    bool found = false;
    try {
      found = std::regex_search(text, pattern_);
    } catch (const std::regex_error&) {  // too complex for this line: not a match
    }
    if (!found) continue;
    seen_ = true;
    return finish(Result<void>());
  }
  loop_.post([this, weak = std::weak_ptr<bool>(alive_)] {
    if (!weak.expired() && done_) read();
  });
}

void LogProber::finish(net::Verdict verdict) {
  const Done done = std::exchange(done_, nullptr);
  watch_.reset();
  timer_.reset();
  if (seen_) reader_.reset();
  if (done) done(std::move(verdict));
}

void LogProber::cancel() {
  done_ = nullptr;
  watch_.reset();
  timer_.reset();
}

}  // namespace locald::server
