// Clients of the control socket, and the stdio that they are attached to.
#include "shim/stdio.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "shim/client.h"
#include "shim/clients.h"
#include "shim/log_writer.h"
#include "shim/spec.h"
#include "shim/text.h"

namespace locald::shim {
namespace {

// --- one client -----------------------------------------------------------------

TEST(Client, AReaderThatDoesNotReadIsToldAndDropped) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  static Client client;
  client.open(ends[0]);
  const std::string piece(100'000, 'x');
  int sent = 0;
  while (!client.closing() && sent < 100) {
    client.send(Frame::out, piece.data(), piece.size());
    ++sent;
  }
  ASSERT_LT(sent, 100);
  std::string all;
  std::vector<char> chunk(1 << 16);
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  for (;;) {
    const ssize_t n = ::read(ends[1], chunk.data(), chunk.size());
    if (n > 0) all.append(chunk.data(), static_cast<std::size_t>(n));
    if (n == 0) break;
    if (n < 0) client.flush();
  }
  EXPECT_FALSE(client.is_open());
  int frames = 0;
  FrameHeader last{};
  for (std::size_t at = 0; at < all.size(); at += sizeof last + last.length, ++frames)
    std::memcpy(&last, all.data() + at, sizeof last);
  EXPECT_EQ(frames, sent);  // all but the one that did not fit, and `lost`
  EXPECT_EQ(last.type, static_cast<std::uint8_t>(Frame::lost));
  ::close(ends[1]);
}

TEST(Client, AFrameThatIsTooLongClosesTheConnection) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  static Client client;
  client.open(ends[0]);
  const FrameHeader header{kFrameMax + 1, static_cast<std::uint8_t>(Frame::in), {}};
  ASSERT_EQ(::write(ends[1], &header, sizeof header), static_cast<ssize_t>(sizeof header));
  EXPECT_TRUE(client.receive());
  const char* body = nullptr;
  EXPECT_EQ(client.frame(&body), nullptr);
  EXPECT_FALSE(client.is_open());
  ::close(ends[1]);
}

// --- all clients ------------------------------------------------------------------

/// A client in each place, and the other ends of their sockets.
struct Places {
  Places() {
    for (int& peer : peers) {
      int ends[2];
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
      Client* place = set.place();
      EXPECT_NE(place, nullptr);
      EXPECT_FALSE(place->is_open());
      place->open(ends[0]);
      place->greeted = true;
      peer = ends[1];
    }
  }
  ~Places() {
    for (Client& client : set) client.close();
    for (const int peer : peers) ::close(peer);
  }
  ClientSet set;
  int peers[ClientSet::kPlaces];
};

TEST(ClientSet, AClientWithoutHelloGivesItsPlaceToTheNext) {
  Places full;
  EXPECT_EQ(full.set.place(), nullptr);
  Client* silent = full.set.begin() + 5;
  silent->greeted = false;
  EXPECT_EQ(full.set.place(), silent);
  silent->close();
  EXPECT_EQ(full.set.place(), silent) << "a free place comes first";
}

TEST(ClientSet, OnePlaceStaysAServers) {
  Places full;
  EXPECT_TRUE(full.set.all_attached());
  full.set.begin()->role = AttachRole::control;
  EXPECT_FALSE(full.set.all_attached());
}

TEST(ClientSet, OutputGoesToThoseThatAreAttachedAndNewsToAllThatAreGreeted) {
  Places full;
  full.set.begin()[0].role = AttachRole::control;
  full.set.begin()[1].greeted = false;
  full.set.send_output(LogStream::err, "x", 1);
  full.set.broadcast(Frame::started, "yz", 2);
  const auto heard = [&](int place) {
    char bytes[100];
    const ssize_t n = ::recv(full.peers[place], bytes, sizeof bytes, MSG_DONTWAIT);
    return n < 0 ? 0 : static_cast<int>(n);
  };
  constexpr int kHeader = sizeof(FrameHeader);
  EXPECT_EQ(heard(0), kHeader + 2);
  EXPECT_EQ(heard(1), 0);
  EXPECT_EQ(heard(2), kHeader + 1 + kHeader + 2);
}

// --- stdio --------------------------------------------------------------------------

class StdioTest : public testing::Test {
 protected:
  void SetUp() override { ::signal(SIGPIPE, SIG_IGN); }
  void TearDown() override { close_child(); }
  bool open(bool sent = false) { return stdio_.open(spec_, sent, child_, why_); }
  void close_child() {
    for (int& fd : child_) {
      if (fd >= 0) ::close(fd);
      fd = -1;
    }
  }
  void child_writes(int number, const std::string& text) {
    ASSERT_EQ(::write(child_[number], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  Spec spec_;
  Stdio stdio_;
  int child_[3] = {-1, -1, -1};
  TextOf<200> why_;
  LogWriter log_;
  ClientSet clients_;
};

TEST_F(StdioTest, APipeIsReadUntilItsLastWriterHasEnded) {
  ASSERT_TRUE(open());
  child_writes(1, "one");
  EXPECT_TRUE(stdio_.read(LogStream::out, log_, clients_));
  EXPECT_FALSE(stdio_.read(LogStream::out, log_, clients_)) << "nothing there";
  EXPECT_GE(stdio_.out(), 0);
  close_child();
  EXPECT_FALSE(stdio_.read(LogStream::out, log_, clients_));
  EXPECT_EQ(stdio_.out(), -1);
  EXPECT_FALSE(stdio_.read(LogStream::out, log_, clients_));
}

TEST_F(StdioTest, InputWaitsWhereThePipeIsFullAndGoesToNobodyWhereItIsClosed) {
  spec_.open_stdin = true;
  ASSERT_TRUE(open());
  const std::string much(200'000, 'x');
  const auto size = static_cast<std::uint32_t>(much.size());
  std::uint32_t done = 0;
  EXPECT_FALSE(stdio_.write(much.data(), size, done));
  EXPECT_GT(done, 0u);
  EXPECT_LT(done, size);
  EXPECT_GE(stdio_.blocked_input(), 0);
  std::vector<char> taken(done);
  ASSERT_EQ(::read(child_[0], taken.data(), taken.size()), static_cast<ssize_t>(taken.size()));
  stdio_.resume_input();
  EXPECT_EQ(stdio_.blocked_input(), -1);
  const std::uint32_t before = done;
  (void)stdio_.write(much.data(), size, done);
  EXPECT_GT(done, before);
  close_child();
  EXPECT_TRUE(stdio_.write(much.data(), size, done)) << "nobody reads: it is dealt with";
}

TEST_F(StdioTest, TheEndOfInputClosesAPipe) {
  spec_.open_stdin = true;
  ASSERT_TRUE(open());
  std::uint32_t done = 0;
  ASSERT_TRUE(stdio_.write("a", 1, done));
  stdio_.end_input();
  char bytes[8];
  EXPECT_EQ(::read(child_[0], bytes, sizeof bytes), 1);
  EXPECT_EQ(::read(child_[0], bytes, sizeof bytes), 0);
}

TEST_F(StdioTest, TheFirstWordsAreThoseOfStderrWithoutLineEnds) {
  ASSERT_TRUE(open());
  child_writes(1, "out\n");
  child_writes(2, "exec failed\r\n\n");
  EXPECT_TRUE(stdio_.read(LogStream::out, log_, clients_));
  EXPECT_STREQ(stdio_.first_words(), "exec failed") << "read for that";
}

TEST_F(StdioTest, TheFirstWordsEndWhereTheirPlaceDoes) {
  ASSERT_TRUE(open());
  child_writes(2, std::string(300, 'a'));
  EXPECT_TRUE(stdio_.read(LogStream::err, log_, clients_));
  child_writes(2, std::string(300, 'b'));
  EXPECT_TRUE(stdio_.read(LogStream::err, log_, clients_));
  EXPECT_EQ(std::string(stdio_.first_words()), std::string(300, 'a') + std::string(99, 'b'));
}

TEST_F(StdioTest, ATerminalHasItsSizeFromTheStartAndIsResized) {
  spec_.tty = true;
  spec_.rows = 33, spec_.columns = 77;
  if (!open()) GTEST_SKIP() << "needs a pseudo-terminal (/dev/ptmx): " << why_.data();
  winsize size{};
  ASSERT_EQ(::ioctl(child_[0], TIOCGWINSZ, &size), 0);
  EXPECT_EQ(size.ws_row, 33);
  EXPECT_EQ(size.ws_col, 77);
  stdio_.resize(11, 22);
  ASSERT_EQ(::ioctl(child_[0], TIOCGWINSZ, &size), 0);
  EXPECT_EQ(size.ws_row, 11);
  EXPECT_EQ(size.ws_col, 22);
  child_writes(1, "hello");
  EXPECT_TRUE(stdio_.read(LogStream::out, log_, clients_));
  EXPECT_STREQ(stdio_.first_words(), "hello");
  close_child();
  while (stdio_.read(LogStream::out, log_, clients_)) {
  }
  EXPECT_EQ(stdio_.out(), -1) << "its last user is gone";
}

TEST_F(StdioTest, ATerminalThatIsSentGetsTheSizeThatWasAskedForSince) {
  spec_.tty = true;
  ASSERT_TRUE(open(/*sent=*/true));
  EXPECT_TRUE(stdio_.awaits_terminal());
  stdio_.resize(11, 22);
  const int master = ::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) GTEST_SKIP() << "needs a pseudo-terminal (/dev/ptmx)";
  stdio_.take_terminal(master);
  EXPECT_FALSE(stdio_.awaits_terminal());
  winsize size{};
  ASSERT_EQ(::ioctl(master, TIOCGWINSZ, &size), 0);
  EXPECT_EQ(size.ws_row, 11);
  EXPECT_EQ(size.ws_col, 22);
}

}  // namespace
}  // namespace locald::shim
