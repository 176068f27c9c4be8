#include "base/log/log_reader.h"

#include <fcntl.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>

#include "base/log/log_segment.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

constexpr std::uint64_t kLookBack = 1u
                                    << 16;  // records that --tail goes back for the start of a line

/// One service's log, read forwards line by line.
class LogSource {
 public:
  LogSource(std::size_t number, LogPosition from, bool follow)
      : number_(number), at_(from), follow_(follow) {}

  Result<void> open(const std::string& dir, int inotify);
  /// Moves to the first of the last `lines` lines; `skip` is then what next() leaves out.
  Result<void> seek_tail(std::uint64_t lines, std::uint64_t since_ns);
  /// Makes `line()` valid. @return false where there is none now.
  Result<bool> fill();
  const LogLine& line() const { return line_; }
  void consume() { filled_ = false; }
  /// An event came for a watch. @return whether it was ours.
  bool woken(int watch, bool everything);
  bool dry() const { return dry_; }

 private:
  Result<bool> scan(LogLine& line);
  Result<bool> scan_piece(LogLine& line);
  void watch_index(std::uint64_t number);
  Result<bool> next_segment();
  Result<bool> unfinished(LogLine& line);
  Result<bool> beyond_index(LogLine& line);
  Result<void> refresh();
  std::optional<std::uint64_t> first_from(std::uint64_t number) const;

  std::size_t number_;
  LogPosition at_;
  bool follow_;
  UniqueFd dir_;
  int inotify_ = -1, dir_watch_ = -1, index_watch_ = -1;
  std::vector<std::uint64_t> numbers_;  // of the segments in the folder, as last listed
  bool listed_ = false;                 // `numbers_` is of now
  std::optional<LogSegment> segment_;
  std::uint64_t covered_ = 0;        // bytes of the segment's .log that its index covers
  std::size_t in_piece_ = 0;         // bytes of the present record that were given out
  std::array<std::string, 2> open_;  // unfinished lines of stdout and stderr
  std::array<std::uint64_t, 2> open_time_{};
  std::string instance_;  // whose unfinished lines they are
  std::uint64_t last_time_ = 0;
  std::uint64_t skip_ = 0;  // lines to leave out, after seek_tail
  std::string text_;        // of line_, where it was joined
  LogLine line_;
  bool filled_ = false;
  bool dry_ = false;
};

Result<void> LogSource::open(const std::string& dir, int inotify) {
  inotify_ = inotify;
  if (follow_) {
    dir_ = TRY(make_dirs(dir, 0700).context("a service's log"));
    // The folder tells of new segments; the index in use is watched by itself,
    // because the kernel merges a file's equal events and writers pay for each.
    dir_watch_ = ::inotify_add_watch(inotify_, dir.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    if (dir_watch_ < 0) return Error::from_errno(errno, "watch " + dir);
  } else if (auto fd = sys::open(dir, O_RDONLY | O_DIRECTORY)) {
    dir_ = std::move(fd).value();
  } else if (fd.error().code() != Errc::not_found) {
    return std::move(fd).error();
  }
  return refresh();
}

Result<void> LogSource::refresh() {
  listed_ = true;
  if (dir_) numbers_ = TRY(LogSegment::list(dir_.get()));
  return {};
}

std::optional<std::uint64_t> LogSource::first_from(std::uint64_t number) const {
  const auto it = std::lower_bound(numbers_.begin(), numbers_.end(), number);
  return it == numbers_.end() ? std::nullopt : std::optional(*it);
}

bool LogSource::woken(int watch, bool everything) {
  if (!everything && watch != dir_watch_ && watch != index_watch_) return false;
  if (everything || watch == dir_watch_) listed_ = false;
  dry_ = false;
  return true;
}

void LogSource::watch_index(std::uint64_t number) {
  if (!follow_) return;
  const std::string path =
      "/proc/self/fd/" + std::to_string(dir_.get()) + "/" + LogSegment::file_name(number, ".idx");
  const int watch = ::inotify_add_watch(inotify_, path.c_str(), IN_MODIFY);
  if (watch != index_watch_ && index_watch_ >= 0) ::inotify_rm_watch(inotify_, index_watch_);
  index_watch_ = watch;
}

/// Opens the segment that follows; false where there is none yet.
Result<bool> LogSource::next_segment() {
  while (true) {
    const auto number = first_from(segment_ ? segment_->number() + 1 : at_.segment);
    if (!number) return false;
    watch_index(*number);  // first, so that a header written after open() wakes us
    auto next = LogSegment::open(dir_.get(), *number);
    if (!next && next.error().code() == Errc::not_found) {
      // Removed since we looked, or so new that its header is not written.
      TRY(refresh());
      if (first_from(*number) != number) continue;
      return false;
    }
    if (!next) return std::move(next).error();
    // A start in the middle of a segment holds for that segment alone.
    if (at_.segment != *number) at_ = {*number, 0};
    segment_ = std::move(next).value();
    covered_ = 0;
    in_piece_ = 0;
    return true;
  }
}

/// Gives out what was begun and has no newline: its writer is gone.
Result<bool> LogSource::unfinished(LogLine& line) {
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (open_[i].empty()) continue;
    text_ = std::move(open_[i]);
    open_[i].clear();
    line = {number_, open_time_[i], i == 0 ? LogStream::out : LogStream::err,
            text_,   instance_,     false};
    return true;
  }
  return false;
}

/// A kill -9 between the two writes of a piece leaves bytes without a record.
Result<bool> LogSource::beyond_index(LogLine& line) {
  if (segment_->size() <= covered_ || covered_ == 0) return false;
  const auto bytes = TRY(segment_->bytes(covered_, kLogPieceMax));
  const auto newline = bytes.find('\n');
  covered_ += newline == std::string_view::npos ? bytes.size() : newline + 1;
  text_ = std::exchange(open_[0], {}) + std::string(bytes.substr(0, newline));
  line = {number_, last_time_, LogStream::out, text_, instance_, false};
  return !bytes.empty();
}

/// The next line of the segment; false once its index is used up.
Result<bool> LogSource::scan_piece(LogLine& line) {
  while (true) {
    const auto record = TRY(segment_->record(at_.record));
    if (!record) return false;
    last_time_ = record->time_ns;
    const auto stream = static_cast<LogStream>(record->stream);
    if (stream == LogStream::note || (record->flags & kLogDropped) != 0) {
      ++at_.record;
      text_ = "[locald: " + std::to_string(record->length) + " bytes dropped]";
      line = {number_, record->time_ns, LogStream::note, text_, segment_->instance(), false};
      return true;
    }
    auto piece = TRY(segment_->bytes(record->offset, record->length));
    piece.remove_prefix(std::min(in_piece_, piece.size()));
    const std::size_t s = stream == LogStream::err ? 1 : 0;
    std::string& begun = open_[s];
    if (begun.empty()) open_time_[s] = record->time_ns;
    const auto newline = piece.find('\n');
    const bool used_up = newline == std::string_view::npos || newline + 1 == piece.size();
    if (used_up) {
      covered_ = std::max(covered_, record->offset + record->length);
      ++at_.record;
      in_piece_ = 0;
    } else {
      in_piece_ += newline + 1;
    }
    if (newline == std::string_view::npos) {
      begun.append(piece);
      if (begun.size() < LogReader::kMaxLine) continue;
      text_ = std::exchange(begun, {});
      line = {number_, open_time_[s], stream, text_, segment_->instance(), true};
      return true;
    }
    line = {number_, open_time_[s], stream, piece.substr(0, newline), segment_->instance(), false};
    if (!begun.empty()) {
      text_ = std::exchange(begun, {});
      text_.append(line.text);
      line.text = text_;
    }
    return true;
  }
}

Result<bool> LogSource::scan(LogLine& line) {
  while (true) {
    if (segment_ && TRY(scan_piece(line))) return true;
    if (!listed_) TRY(refresh());
    const auto next = first_from(segment_ ? segment_->number() + 1 : at_.segment);
    if (!next) {
      if (!follow_ && TRY(unfinished(line))) return true;
      return false;
    }
    if (segment_) {
      // There is a newer segment, so this one is complete: look once more, then leave it.
      if (TRY(segment_->record(at_.record))) continue;
      if (instance_.empty()) instance_ = segment_->instance();
      auto newer = LogSegment::open(dir_.get(), *next);
      if (newer && newer->instance() != segment_->instance()) {
        if (TRY(beyond_index(line))) return true;
        if (TRY(unfinished(line))) return true;
      }
    }
    if (!TRY(next_segment())) return false;
    instance_ = segment_->instance();
  }
}

Result<bool> LogSource::fill() {
  if (filled_) return true;
  while (!dry_) {
    if (!TRY(scan(line_))) {
      dry_ = true;
      return false;
    }
    if (skip_ > 0) {
      if (!line_.cut) --skip_;
      continue;
    }
    return filled_ = true;
  }
  return false;
}

Result<void> LogSource::seek_tail(std::uint64_t lines, std::uint64_t since_ns) {
  // Backwards over whole pieces, counting line ends, until there are enough and
  // each stream's earliest piece begins with the start of a line.
  LogPosition start = at_;
  std::uint64_t ends = 0, looked_back = 0;
  bool enough = false, done = false;
  std::array<bool, 2> seen{}, whole{};
  for (auto it = numbers_.rbegin(); !done && it != numbers_.rend() && *it >= at_.segment; ++it) {
    auto segment = LogSegment::open(dir_.get(), *it);
    if (!segment) continue;
    for (std::uint64_t i = segment->count();
         !done && i-- > (*it == at_.segment ? at_.record : 0);) {
      const auto record = TRY(segment->record(i));
      if (!record) continue;
      enough = enough || ends > lines || record->time_ns < since_ns;
      const bool note = record->stream == static_cast<std::uint8_t>(LogStream::note);
      const std::size_t s = record->stream == static_cast<std::uint8_t>(LogStream::err) ? 1 : 0;
      const bool partial = (record->flags & kLogPartial) != 0;
      if (!note && !partial && seen[s]) whole[s] = true;  // what follows this piece begins a line
      if (enough) {
        done = (!seen[0] || whole[0]) && (!seen[1] || whole[1]);
        done = done || ++looked_back > kLookBack;
        if (!done) start = {*it, i};
        continue;
      }
      start = {*it, i};
      if (note) {
        ++ends;
        continue;
      }
      if (!seen[s] && partial) ++ends;  // an unfinished line at the very end is a line too
      seen[s] = true;
      whole[s] = false;
      const auto bytes = TRY(segment->bytes(record->offset, record->length));
      ends += static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    }
  }
  at_ = start;
  // Forwards over the same lines, to learn how many there are too many.
  LogSource counter(number_, start, /*follow=*/false);
  counter.dir_ = UniqueFd(::fcntl(dir_.get(), F_DUPFD_CLOEXEC, 0));
  TRY(counter.refresh());
  std::uint64_t count = 0;
  while (TRY(counter.fill())) {
    if (!counter.line().cut && counter.line().time_ns >= since_ns) ++count;
    if (!counter.line().cut && counter.line().time_ns < since_ns) ++skip_;
    counter.consume();
  }
  skip_ += count > lines ? count - lines : 0;
  return {};
}

}  // namespace

struct LogReader::Impl {
  std::deque<LogSource> sources;  // lines point into them: they must not move
  UniqueFd inotify;
  bool follow = false;
  std::uint64_t since_ns = 0;
  std::optional<std::size_t> given;  // the source whose line the caller has

  /// Takes what inotify tells. @return whether any source may have more.
  bool wake() {
    if (!inotify) return false;
    bool any = false;
    alignas(inotify_event) std::array<char, 16384> buffer;
    ssize_t n = 0;
    while ((n = ::read(inotify.get(), buffer.data(), buffer.size())) > 0) {
      for (const char* at = buffer.data(); at < buffer.data() + n;) {
        inotify_event event;
        std::memcpy(&event, at, sizeof event);
        at += sizeof event + event.len;
        const bool overflow = (event.mask & IN_Q_OVERFLOW) != 0;
        for (LogSource& source : sources) any = source.woken(event.wd, overflow) || any;
      }
    }
    return any;
  }
};

LogReader::LogReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogReader::LogReader(LogReader&&) noexcept = default;
LogReader& LogReader::operator=(LogReader&&) noexcept = default;
LogReader::~LogReader() = default;

int LogReader::fd() const noexcept { return impl_->inotify.get(); }

Result<LogReader> LogReader::open(std::vector<Source> sources, Options options) {
  auto impl = std::make_unique<Impl>();
  impl->since_ns = options.since_ns;
  if (options.follow) {
    impl->inotify.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!impl->inotify) return Error::from_errno(errno, "inotify");
  }
  impl->follow = options.follow;
  LogReader reader(std::move(impl));
  for (const Source& source : sources) {
    TRY(reader.add(source));
    if (options.tail) TRY(reader.impl_->sources.back().seek_tail(*options.tail, options.since_ns));
  }
  return reader;
}

Result<void> LogReader::add(const Source& source) {
  LogSource& added = impl_->sources.emplace_back(impl_->sources.size(), source.from, impl_->follow);
  return added.open(source.dir, impl_->inotify.get());
}

Result<bool> LogReader::next(LogLine& line) {
  while (true) {
    if (impl_->given) impl_->sources[*impl_->given].consume();
    impl_->given.reset();
    for (std::size_t i = 0; i < impl_->sources.size(); ++i) {
      LogSource& source = impl_->sources[i];
      if (!TRY(source.fill())) continue;
      if (!impl_->given || source.line().time_ns < impl_->sources[*impl_->given].line().time_ns)
        impl_->given = i;
    }
    if (impl_->given) {
      line = impl_->sources[*impl_->given].line();
      if (line.time_ns < impl_->since_ns) continue;
      return true;
    }
    if (!impl_->wake()) return false;
  }
}

LogPosition LogReader::end_of(const std::string& dir) {
  auto fd = sys::open(dir, O_RDONLY | O_DIRECTORY);
  if (!fd) return {};
  const auto numbers = LogSegment::list(fd->get());
  if (!numbers || numbers.value().empty()) return {};
  auto last = LogSegment::open(fd->get(), numbers.value().back());
  if (!last) return {numbers.value().back(), 0};
  return {last->number(), last->count()};
}

}  // namespace locald
