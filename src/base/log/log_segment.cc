#include "base/log/log_segment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

constexpr std::size_t kDigits = 16;
constexpr std::size_t kRecordsWindow = 1024;
constexpr std::size_t kBytesWindow = 256u << 10;

Result<std::size_t> pread_some(int fd, void* buffer, std::size_t size, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, static_cast<char*>(buffer) + done, size - done,
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read a log");
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

std::uint64_t file_size(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 ? static_cast<std::uint64_t>(st.st_size) : 0;
}

}  // namespace

std::string LogSegment::file_name(std::uint64_t number, std::string_view ending) {
  char text[32];
  std::snprintf(text, sizeof text, "%016llu", static_cast<unsigned long long>(number));
  return std::string(text) + std::string(ending);
}

Result<std::vector<std::uint64_t>> LogSegment::list(int dir_fd) {
  std::vector<std::uint64_t> numbers;
  TRY(list_dir(dir_fd, [&](const std::string& name, unsigned char) -> Result<void> {
    if (name.size() == kDigits + 4 && name.ends_with(".idx"))
      if (const auto number = parse_u64(name.substr(0, kDigits))) numbers.push_back(*number);
    return {};
  }));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<LogSegment> LogSegment::open(int dir_fd, std::uint64_t number) {
  LogSegment s;
  s.number_ = number;
  s.index_ = TRY(sys::openat(dir_fd, file_name(number, ".idx"), O_RDONLY | O_NOFOLLOW));
  s.log_ = TRY(sys::openat(dir_fd, file_name(number, ".log"), O_RDONLY | O_NOFOLLOW));
  if (TRY(pread_some(s.index_.get(), &s.header_, sizeof s.header_, 0)) < sizeof s.header_)
    return Error(Errc::not_found, "a log's header is not there yet");
  if (s.header_.magic != kLogMagic || s.header_.format != kLogFormat ||
      s.header_.header_bytes < sizeof s.header_)
    return Error(Errc::unsupported,
                 file_name(number, ".idx") + " has a format that this version does not know");
  return s;
}

std::string_view LogSegment::instance() const noexcept {
  return {header_.instance, ::strnlen(header_.instance, sizeof header_.instance)};
}

std::uint64_t LogSegment::count() const {
  const std::uint64_t size = file_size(index_.get());
  return size < header_.header_bytes ? 0 : (size - header_.header_bytes) / sizeof(LogRecord);
}

std::uint64_t LogSegment::size() const { return file_size(log_.get()); }

Result<std::optional<LogRecord>> LogSegment::record(std::uint64_t index) {
  if (index < first_record_ || index >= first_record_ + records_.size()) {
    // Backwards the window ends at `index`, so that walking either way is cheap.
    const bool backwards = index < first_record_;
    first_record_ = backwards && index >= kRecordsWindow ? index - kRecordsWindow + 1
                    : backwards                          ? 0
                                                         : index;
    records_.resize(kRecordsWindow);
    const std::size_t n =
        TRY(pread_some(index_.get(), records_.data(), kRecordsWindow * sizeof(LogRecord),
                       header_.header_bytes + first_record_ * sizeof(LogRecord)));
    records_.resize(n / sizeof(LogRecord));
    if (index >= first_record_ + records_.size()) return std::optional<LogRecord>();
  }
  return std::optional(records_[index - first_record_]);
}

Result<std::string_view> LogSegment::bytes(std::uint64_t offset, std::size_t size) {
  size = std::min<std::size_t>(size, kLogPieceMax);
  if (offset < window_offset_ || offset + size > window_offset_ + window_.size()) {
    // Nothing beyond what is indexed is kept: the writer may still replace it.
    std::uint64_t indexed = offset + size;
    if (!records_.empty()) indexed = std::max(indexed, records_.back().offset);
    window_.resize(std::clamp<std::uint64_t>(indexed - offset, size, std::max(size, kBytesWindow)));
    window_offset_ = offset;
    window_.resize(TRY(pread_some(log_.get(), window_.data(), window_.size(), offset)));
  }
  return std::string_view(window_).substr(offset - window_offset_, size);
}

}  // namespace locald
