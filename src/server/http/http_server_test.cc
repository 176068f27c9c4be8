#include "server/http/http_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <future>
#include <thread>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::server {
namespace {

using namespace std::chrono_literals;

class Http : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/locald-http-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
    dir_ = *make_dirs(path_);
  }
  void TearDown() override { (void)remove_tree(path_); }

  /// Serves in the foreground while `client` talks in a thread.
  void serve(HttpServer::Handler handler, const std::function<void()>& client,
             HttpServer::Limits limits = {}) {
    HttpServer server(loop_, *sys::unix_listen(dir_.get(), "s"), "1.0", "abc", std::move(handler),
                      limits);
    std::thread thread([&] {
      client();
      loop_.stop();
    });
    loop_.run();
    thread.join();
  }
  std::string ask(const std::string& text, bool half_close = false) {
    const UniqueFd fd = *sys::unix_connect(path_ + "/s");
    EXPECT_TRUE(sys::write_all(fd.get(), text));
    if (half_close) ::shutdown(fd.get(), SHUT_WR);
    std::string answer;
    char buffer[4096];
    while (true) {
      const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
      if (n <= 0) return answer;
      answer.append(buffer, static_cast<std::size_t>(n));
    }
  }
  static std::string post(const std::string& name, const std::string& body,
                          const std::string& more_headers = "") {
    return "POST /v1/" + name + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more_headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  EventLoop loop_;
  std::string path_;
  UniqueFd dir_;
};

TEST_F(Http, AnswersWithOneObject) {
  std::string answer;
  serve(
      [](Request r, const std::shared_ptr<Reply>& reply) {
        reply->result(Json::object({{"name", r.name}, {"x", r.body["x"]}}));
      },
      [&] { answer = ask(post("a/b", R"({"x":7})")); });
  EXPECT_NE(answer.find("HTTP/1.1 200 OK\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Locald-Version: 1.0\r\n"), std::string::npos);
  EXPECT_NE(answer.find(R"({"result":{"name":"a/b","x":7}})"), std::string::npos);
}

TEST_F(Http, RequestsOfClientsOfAnotherBuildAreReadTolerantly) {
  std::string same, other, none;
  serve(
      [](const Request& r, const std::shared_ptr<Reply>& reply) {
        reply->result(r.reading == Reading::strict ? "strict" : "tolerant");
      },
      [&] {
        same = ask(post("up", "{}", "Locald-Version: 1.0\r\nLocald-Build: abc\r\n"));
        other = ask(post("up", "{}", "Locald-Version: 1.0\r\nLocald-Build: abd\r\n"));
        none = ask(post("up", "{}"));
      });
  EXPECT_NE(same.find("strict"), std::string::npos) << same;
  EXPECT_NE(other.find("tolerant"), std::string::npos) << other;
  EXPECT_NE(none.find("strict"), std::string::npos) << none;
}

TEST_F(Http, StreamsEventsThenTheResult) {
  std::string answer;
  EventLoop::Handle timer;
  serve(
      [&](Request, const std::shared_ptr<Reply>& reply) {
        reply->event(Json::object({{"event", "state"}}));
        timer = loop_.after(5ms, [reply] {
          reply->event(Json::object({{"event", "more"}}));
          reply->result(nullptr);
        });
      },
      [&] { answer = ask(post("up", "{}")); });
  EXPECT_NE(answer.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("\r\n12\r\n{\"event\":\"state\"}"), std::string::npos) << answer;
  EXPECT_NE(answer.find("{\"result\":null}\n\r\n0\r\n\r\n"), std::string::npos) << answer;
}

TEST_F(Http, RefusesGarbageAndSaysWhy) {
  std::string bad_json, get, unanswered;
  serve([](Request, const std::shared_ptr<Reply>&) {},
        [&] {
          bad_json = ask(post("up", "{\"a\":"));
          get = ask("GET /v1/up HTTP/1.1\r\nConnection: close\r\n\r\n");
          unanswered = ask(post("up", "{}"));
          EXPECT_EQ(ask("\1\2garbage\r\n\r\n"), "");
          EXPECT_EQ(ask("POST /v1/up HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", true), "");
          EXPECT_NE(
              ask("POST /v1/up HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n").find("too large"),
              std::string::npos);
        });
  EXPECT_NE(bad_json.find("HTTP/1.1 400 "), std::string::npos) << bad_json;
  EXPECT_NE(bad_json.find("the request's body: JSON, line 1"), std::string::npos) << bad_json;
  EXPECT_NE(get.find("404"), std::string::npos);
  EXPECT_NE(unanswered.find("dropped before it was answered"), std::string::npos);
}

TEST_F(Http, TellsWhenTheClientHangsUp) {
  bool gone = false;
  std::shared_ptr<Reply> kept;
  HttpServer server(loop_, *sys::unix_listen(dir_.get(), "s"), "1", "b",
                    [&](Request, const std::shared_ptr<Reply>& reply) {
                      kept = reply;
                      reply->event(Json::object());
                      reply->on_hangup([&] {
                        gone = true;
                        loop_.stop();
                      });
                    });
  std::thread client([&] {
    const UniqueFd fd = *sys::unix_connect(path_ + "/s");
    EXPECT_TRUE(sys::write_all(fd.get(), post("up", "{}")));
    char c = 0;
    EXPECT_EQ(::read(fd.get(), &c, 1), 1);
  });
  auto deadline = loop_.after(5s, [&] { loop_.stop(); });
  loop_.run();
  client.join();
  EXPECT_TRUE(gone);
  EXPECT_FALSE(kept->open());
  kept.reset();
}

/// Waits for the end of a connection. @return how long that took.
std::chrono::milliseconds until_closed(const UniqueFd& fd) {
  const auto start = std::chrono::steady_clock::now();
  char c = 0;
  EXPECT_LE(::read(fd.get(), &c, 1), 0);
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start);
}

TEST_F(Http, TheLongestSilentMakesRoomForWhoSpeaks) {
  serve([](Request, const std::shared_ptr<Reply>& reply) { reply->result(1); },
        [&] {
          std::vector<UniqueFd> silent;
          for (int i = 0; i < 4; ++i) silent.push_back(*sys::unix_connect(path_ + "/s"));
          EXPECT_NE(ask(post("version", "{}")).find("200 OK"), std::string::npos);
          (void)until_closed(silent[0]);
          EXPECT_TRUE(sys::write_all(silent[3].get(), post("version", "{}")));
          char c = 0;
          EXPECT_EQ(::read(silent[3].get(), &c, 1), 1) << "the others have kept their places";
        },
        {.connections = 4});
}

TEST_F(Http, WhereAllPlacesAreBusyARequestIsToldSo) {
  std::vector<std::shared_ptr<Reply>> held;
  serve([&](Request, const std::shared_ptr<Reply>& reply) { held.push_back(reply); },
        [&] {
          const UniqueFd a = *sys::unix_connect(path_ + "/s"), b = *sys::unix_connect(path_ + "/s");
          for (const UniqueFd* fd : {&a, &b})
            EXPECT_TRUE(sys::write_all(fd->get(), post("up", "{}")));
          for (int i = 0; i < 3; ++i) {
            std::string answer;
            // Until both requests have been read, one of the two is only silent.
            do answer = ask(post("status", "{}"));
            while (answer.empty());
            EXPECT_NE(answer.find("HTTP/1.1 503 "), std::string::npos) << answer;
            EXPECT_NE(answer.find("too many requests: 2 are in progress"), std::string::npos)
                << answer;
          }
        },
        {.connections = 2});
  EXPECT_EQ(held.size(), 2u);
}

TEST_F(Http, HalfARequestGivesItsPlaceUpAndHearsWhy) {
  serve([](Request, const std::shared_ptr<Reply>& reply) { reply->result(1); },
        [&] {
          std::vector<UniqueFd> half;
          for (int i = 0; i < 9; ++i) {
            half.push_back(*sys::unix_connect(path_ + "/s"));
            EXPECT_TRUE(sys::write_all(half.back().get(),
                                       "POST /v1/up HTTP/1.1\r\nContent-Length: 50\r\n\r\n{"));
          }
          for (int i = 0; i < 9; ++i)
            EXPECT_NE(ask(post("version", "{}")).find("200 OK"), std::string::npos);
          std::string why(64, 0);
          const ssize_t n = ::read(half[0].get(), why.data(), why.size());
          EXPECT_TRUE(n > 0 && why.starts_with("HTTP/1.1 503 ")) << why;
        },
        {.connections = 4, .refused = 2});
}

TEST_F(Http, WhatStopsThingsIsAnsweredWhereAllPlacesAreBusy) {
  std::vector<std::shared_ptr<Reply>> held;
  serve(
      [&](const Request& request, const std::shared_ptr<Reply>& reply) {
        if (request.name == "watch") return held.push_back(reply);
        reply->result(request.name);
      },
      [&] {
        std::vector<UniqueFd> busy;
        for (int i = 0; i < 2; ++i) {
          busy.push_back(*sys::unix_connect(path_ + "/s"));
          EXPECT_TRUE(sys::write_all(busy.back().get(), post("watch", "{}")));
        }
        std::string answer;
        do answer = ask(post("status", "{}"));
        while (answer.find("503") == std::string::npos);
        for (const char* name : {"version", "down", "stop", "server/stop"})
          EXPECT_NE(ask(post(name, "{}")).find("200 OK"), std::string::npos) << name;
      },
      {.connections = 2});
}

TEST_F(Http, ARequestMustBeWholeInTime) {
  serve([](Request, const std::shared_ptr<Reply>& reply) { reply->result(1); },
        [&] {
          const UniqueFd silent = *sys::unix_connect(path_ + "/s");
          const UniqueFd slow = *sys::unix_connect(path_ + "/s");
          EXPECT_TRUE(sys::write_all(slow.get(), "POST /v1/up HTTP/1.1\r\nContent-Le"));
          EXPECT_LT(until_closed(silent), 5s);
          EXPECT_LT(until_closed(slow), 5s);
          // Also the next one on a connection that is kept.
          const UniqueFd kept = *sys::unix_connect(path_ + "/s");
          EXPECT_TRUE(sys::write_all(
              kept.get(), "POST /v1/up HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"));
          char buffer[4096];
          EXPECT_GT(::read(kept.get(), buffer, sizeof buffer), 0);
          EXPECT_LT(until_closed(kept), 5s);
        },
        {.idle = 100ms});
}

TEST_F(Http, CloseEndsWhatIsOpenAndSaysWhy) {
  std::string answer;
  std::shared_ptr<Reply> kept;
  std::unique_ptr<HttpServer> server;
  server = std::make_unique<HttpServer>(loop_, *sys::unix_listen(dir_.get(), "s"), "1", "b",
                                        [&](Request, const std::shared_ptr<Reply>& reply) {
                                          kept = reply;
                                          reply->event(Json::object());
                                          server->close([&] { loop_.stop(); });
                                        });
  std::thread client([&] { answer = ask(post("watch", "{}")); });
  loop_.run();
  EXPECT_FALSE(kept->open());
  kept.reset();
  server.reset();
  client.join();
  EXPECT_NE(answer.find("the server was stopped before this was done"), std::string::npos)
      << answer;
}

/// Writes down what a Reply says.
struct TestSink final : ReplySink {
  explicit TestSink(std::vector<std::string>& said) : said_(said) {}
  void event(const JsonText&) override { said_.emplace_back("event"); }
  void result(const JsonText&) override { said_.emplace_back("result"); }
  void error(const Error& e, const Json::Object&) override { said_.push_back(e.message()); }
  void on_hangup(std::function<void()> gone) override { gone_ = std::move(gone); }
  bool connected() const override { return connected_; }
  void hang_up() {
    connected_ = false;
    gone_();
  }
  std::vector<std::string>& said_;
  std::function<void()> gone_;
  bool connected_ = true;
};

TEST(Reply, EndsExactlyOnce) {
  std::vector<std::string> said;
  {
    Reply reply(std::make_unique<TestSink>(said));
    reply.event({});
    reply.result({});
    reply.event({});
    reply.error(Error(Errc::failed, "late"));
  }
  EXPECT_EQ(said, (std::vector<std::string>{"event", "result"}));
  said.clear();
  { const Reply reply(std::make_unique<TestSink>(said)); }
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("was dropped"), std::string::npos);
  said.clear();
  {
    Reply reply(std::make_unique<TestSink>(said));
    reply.if_dropped(Error(Errc::cancelled, "project shop was brought down"));
  }
  EXPECT_EQ(said, std::vector<std::string>{"project shop was brought down"});
}

TEST(Reply, TellsEachWhenTheClientHangsUpAndThenSaysNothing) {
  std::vector<std::string> said;
  int told = 0;
  {
    auto sink = std::make_unique<TestSink>(said);
    TestSink& client = *sink;
    Reply reply(std::move(sink));
    reply.on_hangup([&] { ++told; });
    reply.on_hangup([&] { ++told; });
    client.hang_up();
    EXPECT_FALSE(reply.open());
  }
  EXPECT_EQ(told, 2);
  EXPECT_TRUE(said.empty());
}

TEST_F(Http, CloseWritesOutWhatWasSaid) {
  std::string answer;
  std::unique_ptr<HttpServer> server;
  server = std::make_unique<HttpServer>(loop_, *sys::unix_listen(dir_.get(), "s"), "1", "b",
                                        [&](Request, const std::shared_ptr<Reply>& reply) {
                                          reply->result("bye");
                                          server->close([&] { loop_.stop(); });
                                        });
  std::thread client([&] { answer = ask(post("server/stop", "{}")); });
  loop_.run();
  server.reset();
  client.join();
  EXPECT_NE(answer.find("bye"), std::string::npos);
}

TEST_F(Http, WhatWasSentBeforeTheCloseIsAnsweredAndNothingIsTakenAfterIt) {
  std::promise<void> stopping, sent;
  std::string answer;
  std::unique_ptr<HttpServer> server;
  server = std::make_unique<HttpServer>(
      loop_, *sys::unix_listen(dir_.get(), "s"), "1", "b",
      [&](const Request& request, const std::shared_ptr<Reply>& reply) {
        reply->result(request.name);
        if (request.name != "server/stop") return;
        stopping.set_value();
        sent.get_future().wait();
        server->close([&] { loop_.stop(); });
      });
  const std::string hello = "POST /v1/version HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
  UniqueFd busy, idle;
  std::thread client([&] {
    busy = *sys::unix_connect(path_ + "/s");
    idle = *sys::unix_connect(path_ + "/s");
    char buffer[4096];
    for (const UniqueFd* fd : {&busy, &idle}) {
      EXPECT_TRUE(sys::write_all(fd->get(), hello));
      EXPECT_GT(::read(fd->get(), buffer, sizeof buffer), 0);
    }
    std::thread stop([&] { (void)ask(post("server/stop", "{}")); });
    stopping.get_future().wait();
    EXPECT_TRUE(sys::write_all(busy.get(), post("up", "{}")));
    sent.set_value();
    ssize_t n = 0;
    while ((n = ::read(busy.get(), buffer, sizeof buffer)) > 0)
      answer.append(buffer, static_cast<std::size_t>(n));
    stop.join();
  });
  loop_.run();
  EXPECT_EQ(::send(idle.get(), "P", 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
  server.reset();
  client.join();
  EXPECT_NE(answer.find("the server is stopping"), std::string::npos) << answer;
}

}  // namespace
}  // namespace locald::server
