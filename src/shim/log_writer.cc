#include "shim/log_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shim/kernel.h"
#include "shim/text.h"

namespace locald::shim {
namespace {

constexpr std::uint64_t kSegmentMax = 64u << 20;
constexpr int kSegmentsMax =
    1000;  // a service that restarts for weeks does not fill the folder with names
constexpr std::int64_t kRetryMs = 1000;

struct Name {
  char text[24];
};

Name segment_name(std::uint64_t number, const char* suffix) {
  Name name{};
  for (int i = 15; i >= 0; --i, number /= 10) name.text[i] = static_cast<char>('0' + number % 10);
  std::memcpy(name.text + 16, suffix, std::strlen(suffix) + 1);
  return name;
}

/// What lies in the folder: all bytes, the number of segments, the oldest and the newest.
struct Survey {
  std::uint64_t bytes = 0, oldest = UINT64_MAX, newest = 0;
  int segments = 0;
};

Survey survey(int dir) {
  Survey found;
  ::lseek(dir, 0, SEEK_SET);
  alignas(dirent64) char buffer[2048];
  for (;;) {
    const long n = ::syscall(SYS_getdents64, dir, buffer, sizeof buffer);
    if (n <= 0) break;
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      const char* name = entry->d_name;
      if (std::strlen(name) != 20 || std::strspn(name, "0123456789") != 16) continue;
      const bool log = std::strcmp(name + 16, ".log") == 0;
      if (!log && std::strcmp(name + 16, ".idx") != 0) continue;
      struct stat st {};
      if (::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        found.bytes += static_cast<std::uint64_t>(st.st_size);
      const std::uint64_t number = parse_number(name);
      found.oldest = std::min(found.oldest, number);
      found.newest = std::max(found.newest, number);
      if (log) ++found.segments;
    }
  }
  return found;
}

bool pwrite_all(int fd, const void* data, std::size_t size, std::uint64_t offset) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd, at, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

void LogWriter::open(int dir, std::uint64_t max_bytes, const char* nonce,
                     std::uint64_t started_ns) {
  dir_ = dir;
  max_bytes_ = max_bytes == 0 ? UINT64_MAX : max_bytes;
  segment_max_ =
      std::min<std::uint64_t>(kSegmentMax, std::max<std::uint64_t>(max_bytes_ / 8, 4096));
  started_ns_ = started_ns;
  std::memcpy(nonce_, nonce, std::min(std::strlen(nonce), sizeof nonce_));
  if (!new_segment()) error_ = errno, retry_at_ms_ = monotonic_ms() + kRetryMs;
}

void LogWriter::make_room() {
  for (Survey now = survey(dir_); now.segments > 0; now = survey(dir_)) {
    const bool full =
        now.bytes > max_bytes_ - std::min(max_bytes_, segment_max_) || now.segments >= kSegmentsMax;
    if (!full || now.oldest >= segment_) break;
    const bool gone = ::unlinkat(dir_, segment_name(now.oldest, ".log").text, 0) == 0;
    if (::unlinkat(dir_, segment_name(now.oldest, ".idx").text, 0) != 0 && !gone) break;
  }
}

bool LogWriter::new_segment() {
  std::uint64_t number = std::max(survey(dir_).newest, segment_) + 1;
  int index = -1;
  // Another shim may write to the same folder: numbers are taken by creating the index.
  while ((index = ::openat(dir_, segment_name(number, ".idx").text,
                           O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
    if (errno != EEXIST)
      return false;
    else
      ++number;
  const int log = ::openat(dir_, segment_name(number, ".log").text,
                           O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  LogIndexHeader header{};
  header.magic = kLogMagic;
  header.format = kLogFormat;
  header.header_bytes = sizeof header;
  std::memcpy(header.instance, nonce_, sizeof header.instance);
  header.started_ns = started_ns_;
  header.first_sequence = sequence_ + 1;
  if (log < 0 || !pwrite_all(index, &header, sizeof header, 0)) {
    const int err = errno;
    ::unlinkat(dir_, segment_name(number, ".idx").text, 0);
    if (log >= 0) ::unlinkat(dir_, segment_name(number, ".log").text, 0), ::close(log);
    ::close(index);
    errno = err;
    return false;
  }
  if (log_ >= 0) ::close(log_), ::close(index_);
  log_ = log, index_ = index, segment_ = number;
  offset_ = 0, index_offset_ = sizeof header;
  make_room();
  return true;
}

bool LogWriter::piece(LogStream stream, std::uint8_t flags, const char* data,
                      std::uint32_t length) {
  if (data != nullptr && !pwrite_all(log_, data, length, offset_)) return false;
  LogRecord record{};
  record.sequence = sequence_ + 1;
  record.time_ns = wall_ns();
  record.offset = offset_;
  record.length = length;
  record.stream = static_cast<std::uint8_t>(stream);
  record.flags = flags;
  // A record that is written in part is overwritten by the next attempt; so are bytes without a
  // record.
  if (!pwrite_all(index_, &record, sizeof record, index_offset_)) return false;
  index_offset_ += sizeof record;
  ++sequence_;
  if (data != nullptr) offset_ += length;
  return true;
}

bool LogWriter::flush_note() {
  while (unnoted_ > 0) {
    const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(unnoted_, UINT32_MAX));
    if (!piece(LogStream::note, kLogDropped, nullptr, length)) return false;
    unnoted_ -= length;
  }
  return true;
}

void LogWriter::append(LogStream stream, const char* data, std::size_t size) {
  if (dir_ < 0 || size == 0) return;
  const bool failing = unnoted_ > 0 || log_ < 0;
  if (!failing || monotonic_ms() >= retry_at_ms_) {
    const std::uint8_t flags = data[size - 1] == '\n' ? 0 : kLogPartial;
    const bool room = log_ >= 0 && (offset_ == 0 || offset_ + size <= segment_max_);
    if ((room || new_segment()) && flush_note() &&
        piece(stream, flags, data, static_cast<std::uint32_t>(size)))
      return;
    error_ = errno;
    retry_at_ms_ = monotonic_ms() + kRetryMs;
  }
  dropped_ += size;
  unnoted_ += size;
}

void LogWriter::close() {
  if (dir_ < 0) return;
  if (unnoted_ > 0 && (log_ >= 0 || new_segment())) (void)flush_note();
  if (log_ >= 0) ::close(log_), ::close(index_);
  ::close(dir_);
  dir_ = log_ = index_ = -1;
}

}  // namespace locald::shim
