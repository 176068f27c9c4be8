#include "cli/attach_client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/log/attach_protocol.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::cli {
namespace {

TEST(DetachKeys, AreFoundHoweverTheyAreCut) {
  DetachKeys keys;
  bool detached = false;
  EXPECT_EQ(keys.feed("ab\x10", detached), "ab");
  EXPECT_TRUE(keys.holding());
  EXPECT_FALSE(detached);
  EXPECT_EQ(keys.feed("\x11 rest", detached), "");
  EXPECT_TRUE(detached);
}

TEST(DetachKeys, ALonePrefixIsSentOn) {
  DetachKeys keys;
  bool detached = false;
  EXPECT_EQ(keys.feed("\x10x", detached), "\x10x");
  EXPECT_EQ(keys.feed("\x10", detached), "");
  EXPECT_EQ(keys.flush(), "\x10");
  EXPECT_EQ(keys.feed("\x11", detached), "\x11");
  EXPECT_EQ(keys.feed("\x10\x10\x11", detached), "\x10");
  EXPECT_TRUE(detached);
}

/// The shim's end of the protocol, and the client in a process of its own.
class AttachTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/locald-attach-XXXXXX";
    dir_ = ::mkdtemp(name);
    const UniqueFd dir = make_dirs(dir_).value();
    listener_ = sys::unix_listen(dir.get(), "ctl.sock").value();
    std::tie(out_read_, out_write_) = sys::pipe().value();
    std::tie(in_read_, in_write_) = sys::pipe().value();
  }
  void TearDown() override {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    (void)remove_tree(dir_);
  }

  /// Runs attach() in a child with the pipes, or `tty`, as its stdio, and greets it.
  void start(AttachOptions options, int tty = -1) {
    options.socket = dir_ + "/ctl.sock";
    options.nonce = "abc";
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      ::dup2(tty >= 0 ? tty : in_read_.get(), 0);
      ::dup2(tty >= 0 ? tty : out_write_.get(), 1);
      ::dup2(tty >= 0 ? tty : out_write_.get(), 2);
      in_write_.reset();
      out_read_.reset();
      auto code = attach(options);
      if (!code) (void)sys::write_all(2, "error: " + code.error().message());
      ::_exit(code ? *code : 99);
    }
    in_read_.reset();
    out_write_.reset();
    peer_.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const auto [type, payload] = receive();
    ASSERT_EQ(type, Frame::hello);
    FrameHello hello;
    std::memcpy(&hello, payload.data(), sizeof hello);
    EXPECT_EQ(hello.version, kAttachVersion);
    EXPECT_EQ(hello.role, AttachRole::attach);
    EXPECT_STREQ(hello.nonce, "abc");
    const FrameStatus status{.version = kAttachVersion, .state = ShimState::running};
    send(Frame::status, {reinterpret_cast<const char*>(&status), sizeof status});
  }
  void send(Frame type, std::string_view payload = {}) {
    const FrameHeader header{
        static_cast<std::uint32_t>(payload.size()), static_cast<std::uint8_t>(type), {}};
    ASSERT_TRUE(
        sys::write_all(peer_.get(), {reinterpret_cast<const char*>(&header), sizeof header}));
    ASSERT_TRUE(sys::write_all(peer_.get(), payload));
  }
  void send_exit(int code, int signal, Frame type = Frame::exited, const std::string& text = "") {
    const FrameExit exit{.code = code, .signal = signal};
    send(type, std::string(reinterpret_cast<const char*>(&exit), sizeof exit) + text);
  }
  std::pair<Frame, std::string> receive() {
    FrameHeader header{};
    if (!read_exactly(peer_.get(), &header, sizeof header)) return {};
    std::string payload(header.length, 0);
    if (!read_exactly(peer_.get(), payload.data(), payload.size())) return {};
    return {static_cast<Frame>(header.type), payload};
  }
  static bool read_exactly(int fd, void* data, std::size_t size) {
    return size == 0 || ::recv(fd, data, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }
  int wait() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string output() { return read_all(out_read_.get(), 64u << 20).value(); }

  std::string dir_;
  UniqueFd listener_, peer_, out_read_, out_write_, in_read_, in_write_;
  pid_t child_ = -1;
};

TEST_F(AttachTest, GivesTheLastOutputAndTheExitCode) {
  start({});
  std::thread reader([this] { EXPECT_EQ(output().size(), 40u * 100'000); });
  for (int i = 0; i < 40; ++i) send(Frame::out, std::string(100'000, 'x'));
  send_exit(7, 0);
  peer_.reset();
  EXPECT_EQ(wait(), 7);
  reader.join();
}

TEST_F(AttachTest, ASignalIs128More) {
  start({});
  send_exit(-1, SIGSEGV);
  EXPECT_EQ(wait(), 128 + SIGSEGV);
}

TEST_F(AttachTest, AnUnknownStatusIsNotInvented) {
  start({});
  send_exit(-1, 0);
  EXPECT_EQ(wait(), 125);
  EXPECT_NE(output().find("not known"), std::string::npos);
}

TEST_F(AttachTest, WhatCouldNotBeStartedKeepsItsCode) {
  start({});
  send_exit(127, 0, Frame::failed, "nothere: not found");
  EXPECT_EQ(wait(), 127);
  EXPECT_EQ(output(), "error: nothere: not found\n");
}

TEST_F(AttachTest, ALostShimIsAnError) {
  start({});
  peer_.reset();
  EXPECT_EQ(wait(), 99);
  EXPECT_EQ(output(), "error: the process's shim is gone");
}

TEST_F(AttachTest, AProcessThatHasEndedBeforeIsToldAsThat) {
  // Its folder is gone with it; or nobody listens any more.
  const std::string deaf = dir_ + "/deaf.sock";
  {
    const UniqueFd dir = sys::open(dir_, O_RDONLY | O_DIRECTORY).value();
    (void)sys::unix_listen(dir.get(), "deaf.sock").value();
  }
  for (const std::string& socket : {dir_ + "/gone/ctl.sock", deaf}) {
    const auto attached = attach({.socket = socket});
    ASSERT_FALSE(attached) << socket;
    EXPECT_EQ(attached.error().message(),
              "the process's shim is gone: the process ended before it could be attached to");
    EXPECT_NE(attached.error().hint().find("locald status"), std::string::npos);
  }
}

TEST_F(AttachTest, ForwardsStdinAndItsEnd) {
  start({.forward_stdin = true});
  ASSERT_TRUE(sys::write_all(in_write_.get(), "hello"));
  EXPECT_EQ(receive(), std::make_pair(Frame::in, std::string("hello")));
  in_write_.reset();
  EXPECT_EQ(receive(), std::make_pair(Frame::in_end, std::string()));
  send_exit(0, 0);
  EXPECT_EQ(wait(), 0);
}

TEST_F(AttachTest, ForwardsSignals) {
  start({});
  send(Frame::out, "ready");  // its signals are blocked by now
  char buffer[5];
  ASSERT_EQ(::read(out_read_.get(), buffer, 5), 5);
  ::kill(child_, SIGTERM);
  const auto [type, payload] = receive();
  EXPECT_EQ(type, Frame::signal);
  std::int32_t number = 0;
  std::memcpy(&number, payload.data(), sizeof number);
  EXPECT_EQ(number, SIGTERM);
  send_exit(-1, SIGTERM);
  EXPECT_EQ(wait(), 128 + SIGTERM);
}

TEST_F(AttachTest, DetachesByItsKeys) {
  start({.forward_stdin = true, .detach_keys = true, .ours = false});
  ASSERT_TRUE(sys::write_all(in_write_.get(), "x\x10\x11"));
  EXPECT_EQ(receive(), std::make_pair(Frame::in, std::string("x")));
  EXPECT_EQ(wait(), 0);
}

TEST_F(AttachTest, TellsAProcessOfOursThatNobodyReads) {
  start({});
  out_read_.reset();
  send(Frame::out, "anybody?");
  const auto [type, payload] = receive();
  EXPECT_EQ(type, Frame::signal);
  for (int i = 0; i < 40; ++i)
    send(Frame::out, std::string(100'000, 'x'));  // and we are still read
  send_exit(-1, SIGPIPE);
  EXPECT_EQ(wait(), 128 + SIGPIPE);
}

TEST_F(AttachTest, LeavesAProcessThatDoesNotCare) {
  start({});
  out_read_.reset();
  send(Frame::out, "anybody?");
  EXPECT_EQ(receive().first, Frame::signal);
  EXPECT_EQ(wait(), 128 + SIGPIPE);
}

TEST_F(AttachTest, ATerminalIsRawMeanwhileAndRestored) {
  int controller = -1, terminal = -1;
  const winsize size{.ws_row = 33, .ws_col = 111, .ws_xpixel = 0, .ws_ypixel = 0};
  if (::openpty(&controller, &terminal, nullptr, nullptr, &size) != 0)
    GTEST_SKIP() << "needs a pseudo terminal";
  const UniqueFd ours(controller), theirs(terminal);
  termios before{}, during{}, after{};
  ::tcgetattr(terminal, &before);
  start({.tty = true, .forward_stdin = true}, terminal);
  auto [type, payload] = receive();
  EXPECT_EQ(type, Frame::resize);
  FrameResize resize{};
  std::memcpy(&resize, payload.data(), sizeof resize);
  EXPECT_EQ(resize.rows, 33);
  EXPECT_EQ(resize.columns, 111);
  ::tcgetattr(terminal, &during);
  EXPECT_EQ(during.c_lflag & (ICANON | ECHO | ISIG), 0u);
  ASSERT_TRUE(sys::write_all(controller, "\x03"));  // Ctrl-C is a byte like others
  EXPECT_EQ(receive(), std::make_pair(Frame::in, std::string("\x03")));
  const winsize larger{.ws_row = 50, .ws_col = 200, .ws_xpixel = 0, .ws_ypixel = 0};
  ::ioctl(controller, TIOCSWINSZ, &larger);
  ::kill(child_, SIGWINCH);  // as the kernel does for the terminal's own session
  std::tie(type, payload) = receive();
  EXPECT_EQ(type, Frame::resize);
  std::memcpy(&resize, payload.data(), sizeof resize);
  EXPECT_EQ(resize.columns, 200);
  ::kill(child_, SIGTERM);
  EXPECT_EQ(receive().first, Frame::signal);
  send_exit(-1, SIGTERM);
  EXPECT_EQ(wait(), 128 + SIGTERM);
  ::tcgetattr(terminal, &after);
  EXPECT_EQ(after.c_lflag, before.c_lflag);
}

}  // namespace
}  // namespace locald::cli
