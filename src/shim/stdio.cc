#include "shim/stdio.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>

#include "shim/kernel.h"

namespace locald::shim {
namespace {

constexpr int kTrimAfterMs = 1'000;
constexpr int kPipeSize = 1 << 20;
constexpr std::size_t kBufferSize = 256 << 10;
static_assert(kBufferSize <= kFrameMax && kBufferSize <= kLogPieceMax);

// Touched as far as one read fills it; trim() gives it back.
alignas(4096) char buffer[kBufferSize];

}  // namespace

bool Stdio::open(const Spec& spec, bool sent, int child[3], Text& why) {
  tty_ = spec.tty;
  rows_ = made_rows_ = spec.rows, columns_ = made_columns_ = spec.columns;
  if (tty_ && sent) {
    for (int i = 0; i < 3; ++i) child[i] = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    return true;
  }
  if (tty_) {
    master_ = ::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    int unlock = 0;
    int slave = -1;
    if (master_ >= 0 && ::ioctl(master_, TIOCSPTLCK, &unlock) == 0)
      slave = ::ioctl(master_, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) return why.add("no terminal could be made: ").add(error_text(errno)), false;
    set_window();
    set_nonblocking(master_);
    out_ = in_ = master_;
    child[0] = slave;
    child[1] = ::fcntl(slave, F_DUPFD_CLOEXEC, 3);
    child[2] = ::fcntl(slave, F_DUPFD_CLOEXEC, 3);
    return true;
  }
  int in[2] = {-1, -1}, out[2], err[2];
  bool ok = ::pipe2(out, O_CLOEXEC) == 0 && ::pipe2(err, O_CLOEXEC) == 0;
  if (ok && spec.open_stdin) ok = ::pipe2(in, O_CLOEXEC) == 0;
  if (ok && !spec.open_stdin) ok = (in[0] = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;
  if (!ok) return why.add("no pipe could be made: ").add(error_text(errno)), false;
  out_ = out[0], err_ = err[0], in_ = in[1];
  set_nonblocking(out_), set_nonblocking(err_);
  if (in_ >= 0) set_nonblocking(in_);
  child[0] = in[0], child[1] = out[1], child[2] = err[1];
  return true;
}

void Stdio::set_window() const {
  const winsize window{rows_, columns_, 0, 0};
  ::ioctl(master_, TIOCSWINSZ, &window);
}

void Stdio::take_terminal(int master) {
  master_ = master;
  set_nonblocking(master_);
  out_ = in_ = master_;
  // Resized since it was asked for; else its maker has set it.
  if (rows_ != made_rows_ || columns_ != made_columns_) set_window();
}

void Stdio::resize(std::uint16_t rows, std::uint16_t columns) {
  rows_ = rows, columns_ = columns;
  if (master_ >= 0) set_window();
}

bool Stdio::write(const char* data, std::uint32_t size, std::uint32_t& done) {
  while (in_ >= 0 && done < size) {
    const ssize_t n = ::write(in_, data + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return hold_input(), false;
    if (n < 0) {  // nobody reads it any more
      if (in_ != master_) ::close(in_);
      in_ = -1;
      break;
    }
    done += static_cast<std::uint32_t>(n);
  }
  return true;
}

void Stdio::end_input() {
  if (in_ < 0) return;
  if (tty_) {
    const char end = 4;  // VEOF: what a person would type
    (void)!::write(in_, &end, 1);
  } else {
    ::close(in_);
    in_ = -1;
  }
}

bool Stdio::read(LogStream stream, LogWriter& log, ClientSet& clients) {
  int& fd = stream == LogStream::err ? err_ : out_;
  if (fd < 0) return false;
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return errno == EINTR;
  if (n <= 0) {  // a terminal says EIO when its last user is gone
    if (fd != master_) ::close(fd);
    fd = -1;
    return false;
  }
  const auto size = static_cast<std::size_t>(n);
  // A pipe that was full belongs to somebody who writes much. Not before: the pages
  // of all pipes of a user are counted together.
  if (size == 64 << 10 && fd != master_) (void)::fcntl(fd, F_SETPIPE_SZ, kPipeSize);
  if (first_used_ < sizeof first_ - 1 && (stream == LogStream::err || tty_)) {
    const std::size_t room = sizeof first_ - 1 - first_used_;
    const std::size_t part = size < room ? size : room;
    std::memcpy(first_ + first_used_, buffer, part);
    first_used_ += part;
  }
  log.append(stream, buffer, size);
  clients.send_output(stream, buffer, size);
  if (size > 8192) trim_at_ms_ = monotonic_ms() + kTrimAfterMs;
  return true;
}

void Stdio::drop_output() {
  for (const int fd : {out_, err_}) {
    ssize_t n = fd < 0 ? 0 : 1;
    while (n > 0 || (n < 0 && errno == EINTR)) n = ::read(fd, buffer, sizeof buffer);
  }
}

const char* Stdio::first_words() {
  if (first_used_ == 0) {
    const int fd = tty_ ? out_ : err_;
    const ssize_t n = fd < 0 ? -1 : ::read(fd, first_, sizeof first_ - 1);
    first_used_ = n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  first_[first_used_] = '\0';
  while (first_used_ > 0 && (first_[first_used_ - 1] == '\n' || first_[first_used_ - 1] == '\r'))
    first_[--first_used_] = '\0';
  return first_;
}

void Stdio::trim(std::int64_t now_ms) {
  if (trim_at_ms_ == 0 || now_ms < trim_at_ms_) return;
  ::madvise(buffer, sizeof buffer, MADV_DONTNEED);
  trim_at_ms_ = 0;
}

}  // namespace locald::shim
