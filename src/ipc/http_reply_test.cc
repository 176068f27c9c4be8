#include "ipc/http_reply.h"

#include <gtest/gtest.h>

namespace locald::ipc {
namespace {

/// Feeds `text` in steps of `step` bytes; the body, or the error's text.
std::string read(std::string_view text, std::size_t step, bool end = false) {
  std::string body;
  HttpReply reply([&](std::string_view bytes) { body.append(bytes); });
  while (!text.empty() && !reply.complete()) {
    const auto piece = text.substr(0, step);
    auto used = reply.feed(piece);
    if (!used) return "error: " + used.error().message();
    text.remove_prefix(*used);
  }
  if (end)
    if (auto ended = reply.end(); !ended) return "error: " + ended.error().message();
  return reply.complete() ? body : "unfinished: " + body;
}

TEST(HttpReply, ReadsALengthHoweverItIsCut) {
  for (std::size_t step : {1u, 3u, 7u, 999u})
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", step), "hello") << step;
}

TEST(HttpReply, ReadsChunksHoweverTheyAreCut) {
  for (std::size_t step : {1u, 2u, 5u, 999u})
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n4\r\nab\r\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                   step),
              "ab\r\n0123456789")
        << step;
}

TEST(HttpReply, ReadsToTheEndOfTheConnectionWhereNothingSaysTheLength) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\n\r\nall of it", 4, true), "all of it");
}

TEST(HttpReply, SkipsInterimReplies) {
  EXPECT_EQ(read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", 9),
            "x");
}

TEST(HttpReply, RefusesWhatIsCutShort) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 99, true),
            "error: the server hung up in the middle of its reply");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n", 99, true),
            "error: the server hung up in the middle of its reply");
}

TEST(HttpReply, RefusesWhatIsNoHttp) {
  EXPECT_TRUE(read("SSH-2.0-OpenSSH_9.2\r\n", 99).starts_with("error:"));
  EXPECT_TRUE(read("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", 99).starts_with("error:"));
  EXPECT_TRUE(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 99)
                  .starts_with("error:"));
  EXPECT_TRUE(read("HTTP/1.1 200 OK\r\nX: " + std::string(70000, 'x'), 999).starts_with("error:"));
}

TEST(HttpReply, KnowsWhetherTheConnectionLivesOn) {
  HttpReply reply([](std::string_view) {});
  ASSERT_TRUE(reply.feed("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_TRUE(reply.complete());
  EXPECT_FALSE(reply.keep_alive());
}

}  // namespace
}  // namespace locald::ipc
