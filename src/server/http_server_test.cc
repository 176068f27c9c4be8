#include "server/http_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "base/fs_at.h"
#include "base/sys.h"

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
  void serve(HttpServer::Handler handler, const std::function<void()>& client) {
    HttpServer server(loop_, *sys::unix_listen(dir_.get(), "s"), "1.0", "abc", std::move(handler));
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
  static std::string post(const std::string& name, const std::string& body) {
    return "POST /v1/" + name + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
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
  EXPECT_NE(unanswered.find("no answer"), std::string::npos);
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

}  // namespace
}  // namespace locald::server
