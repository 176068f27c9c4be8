#include "ipc/client.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <thread>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "ipc/version.h"

namespace locald::ipc {
namespace {

constexpr const char* kGone = "gone";  // of FakeServer: it ends in place of an answer

/// A server that answers each connection's requests, in order, with fixed texts.
class FakeServer {
 public:
  explicit FakeServer(std::vector<std::vector<std::string>> connections)
      : script_(std::move(connections)) {
    char name[] = "/tmp/locald-client-XXXXXX";
    home_ = ::mkdtemp(name);
    const UniqueFd dir = make_dirs(home_ + "/run").value();
    listener_ = sys::unix_listen(dir.get(), "server.sock").value();
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    (void)remove_tree(home_);
  }
  Paths paths() const {
    return Paths::from_env(
               [this](const std::string& name) {
                 return name == "LOCALD_HOME" ? std::optional(home_) : std::nullopt;
               },
               1)
        .value();
  }
  std::vector<std::string> requests;  // read after the object's thread is idle

 private:
  void serve() {
    for (const auto& replies : script_) {
      const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      for (const std::string& reply : replies) {
        if (reply == kGone) {  // with the request unread
          pollfd came{peer.get(), POLLIN, 0};
          ::poll(&came, 1, -1);
          break;
        }
        std::string request;
        char buffer[4096];
        while (request.find("\r\n\r\n") == std::string::npos || !request.ends_with('}')) {
          const ssize_t n = ::read(peer.get(), buffer, sizeof buffer);
          if (n <= 0) return;
          request.append(buffer, static_cast<std::size_t>(n));
        }
        requests.push_back(request.substr(0, request.find("\r\n")));
        (void)sys::write_all(peer.get(), reply);
      }
    }
  }
  std::vector<std::vector<std::string>> script_;
  std::string home_;
  UniqueFd listener_;
  std::thread thread_;
};

std::string http(const std::string& body, const std::string& type = "application/json") {
  return "HTTP/1.1 200 OK\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string version_reply(const std::string& version = std::string(kVersion), int jobs = 0) {
  return http(R"({"result":{"version":")" + version + R"(","build":")" + std::string(kBuild) +
              R"(","pid":1,"jobs":)" + std::to_string(jobs) + "}}");
}

TEST(Client, AsksOnTheConnectionItHas) {
  FakeServer server({{version_reply(), http(R"({"result":{"x":7}})")}});
  auto client = Client::connect(server.paths(), {.start = false});
  ASSERT_TRUE(client) << client.error().message();
  auto reply = client->call("status", JsonText("{}"));
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ((*reply)["x"].as_int(), 7);
  EXPECT_EQ(server.requests,
            (std::vector<std::string>{"POST /v1/version HTTP/1.1", "POST /v1/status HTTP/1.1"}));
}

TEST(Client, ConnectsAgainWhereTheServerCloses) {
  std::string last = version_reply();
  last.insert(last.find("Content-Type"), "Connection: close\r\n");
  FakeServer server({{last}, {http(R"({"result":{"x":7}})")}});
  auto client = Client::connect(server.paths(), {.start = false});
  ASSERT_TRUE(client);
  auto reply = client->call("status", JsonText("{}"));
  ASSERT_TRUE(reply) << reply.error().message();
}

TEST(Client, TheNextServerGetsWhatTheLastOneHasNotTaken) {
  FakeServer server({{version_reply(), kGone}, {version_reply(), http(R"({"result":{"x":7}})")}});
  auto client = Client::connect(server.paths(), {.start = false});
  ASSERT_TRUE(client) << client.error().message();
  auto reply = client->call("up", JsonText("{}"));
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ((*reply)["x"].as_int(), 7);
}

TEST(Client, GivesUpWhereServerAfterServerEnds) {
  FakeServer server({{version_reply(), kGone}, {version_reply(), kGone}, {version_reply(), kGone}});
  auto client = Client::connect(server.paths(), {.start = false});
  ASSERT_TRUE(client) << client.error().message();
  auto reply = client->call("up", JsonText("{}"));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message(), "the server hung up before it answered");
  EXPECT_NE(reply.error().hint().find("server.log"), std::string::npos);
}

TEST(Client, WhatAServerHasTakenIsNotSentAgain) {
  FakeServer server({{version_reply(), ""}, {version_reply(), http(R"({"result":{"x":7}})")}});
  auto client = Client::connect(server.paths(), {.start = false});
  ASSERT_TRUE(client) << client.error().message();
  EXPECT_FALSE(client->call("up", JsonText("{}")));
  EXPECT_EQ(server.requests.size(), 2u);
}

TEST(Client, HandsOutEventsAndThenTheResult) {
  const std::string lines =
      "{\"event\":\"notice\",\"text\":\"a\"}\n{\"event\":\"notice\",\"text\":\"b\"}\n{\"result\":{"
      "\"ok\":true}}\n";
  FakeServer server({{version_reply(), http(lines, "application/x-ndjson")}});
  auto client = Client::connect(server.paths(), {.start = false});
  ASSERT_TRUE(client);
  std::string seen;
  auto reply = client->call("up", JsonText("{}"),
                            [&](const Json& event) { seen += event["text"].as_string(); });
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(seen, "ab");
  EXPECT_TRUE((*reply)["ok"].as_bool());
}

TEST(Client, AnErrorKeepsItsCodeMessageAndHint) {
  FakeServer server(
      {{version_reply(),
        http(R"({"error":{"code":"not_found","message":"no such","hint":"look","problems":[
      {"file":"a.toml","line":3,"column":2,"message":"unknown key","hint":"did you mean x?"}]}})")}});  // for programs: the message has them too
  auto client = Client::connect(server.paths(), {.start = false});
  ASSERT_TRUE(client);
  auto reply = client->call("up", JsonText("{}"));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), Errc::not_found);
  EXPECT_EQ(reply.error().message(), "no such");
  EXPECT_EQ(reply.error().hint(), "look");
}

TEST(Client, AStreamWithoutAResultIsAnError) {
  FakeServer server({{version_reply(), http("{\"event\":\"notice\"}\n", "application/x-ndjson")}});
  auto client = Client::connect(server.paths(), {.start = false});
  ASSERT_TRUE(client);
  EXPECT_FALSE(client->call("up", JsonText("{}")));
}

TEST(Client, SaysThatItIsOlder) {
  FakeServer server({{version_reply("99.0.0")}});
  std::string said;
  auto client = Client::connect(
      server.paths(), {.start = false, .notice = [&](const std::string& text) { said = text; }});
  ASSERT_TRUE(client);
  EXPECT_NE(said.find("older than the running server"), std::string::npos) << said;
}

TEST(Client, LeavesAnOlderServerToItsWork) {
  FakeServer server({{version_reply("0.0.1", /*jobs=*/2)}});
  std::string said;
  auto client = Client::connect(
      server.paths(), {.start = false, .notice = [&](const std::string& text) { said = text; }});
  ASSERT_TRUE(client);
  EXPECT_NE(said.find("work in progress"), std::string::npos) << said;
}

TEST(Client, WithoutAServerItIsNotFound) {
  char name[] = "/tmp/locald-client-XXXXXX";
  const std::string home = ::mkdtemp(name);
  const auto paths = Paths::from_env(
                         [&](const std::string& n) {
                           return n == "LOCALD_HOME" ? std::optional(home) : std::nullopt;
                         },
                         1)
                         .value();
  auto client = Client::connect(paths, {.start = false});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), Errc::not_found);
  (void)remove_tree(home);
}

}  // namespace
}  // namespace locald::ipc
