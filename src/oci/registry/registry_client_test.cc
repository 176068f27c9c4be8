#include "oci/registry/registry_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "base/json/json.h"
#include "base/strings.h"
#include "base/sys/unique_fd.h"
#include "oci/spec/media_type.h"

namespace locald::oci {
namespace {

using std::chrono::milliseconds;

/// A server on loopback that says, byte for byte, what the test tells it to.
class Server {
 public:
  struct Request {
    std::string path;
    std::string head;
  };
  /// Returns the raw answer; the connection is closed after it.
  using Answer = std::function<std::string(const Request&)>;

  explicit Server(Answer answer)
      : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
  }

  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::vector<Request> requests() const {
    const std::lock_guard guard(mutex_);
    return requests_;
  }
  int count(const std::string& path) const {
    int n = 0;
    for (const Request& request : requests()) n += request.path == path ? 1 : 0;
    return n;
  }

 private:
  void serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd wait{listener_.get(), POLLIN, 0};
      if (::poll(&wait, 1, 20) != 1) continue;
      const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::string head;
      char buffer[4096];
      while (head.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = ::recv(peer.get(), buffer, sizeof buffer, 0);
        if (n <= 0) break;
        head.append(buffer, static_cast<std::size_t>(n));
      }
      if (head.size() < 5) continue;
      const auto path = head.substr(4, head.find(' ', 4) - 4);
      {
        const std::lock_guard guard(mutex_);
        requests_.push_back({path, head});
      }
      std::string out = answer_({path, head});
      const bool hang = out.size() >= 4 && out.substr(out.size() - 4) == "HANG";
      if (hang) out.resize(out.size() - 4);
      for (std::size_t sent = 0; sent < out.size();) {
        const ssize_t n = ::send(peer.get(), out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<std::size_t>(n);
      }
      if (hang)
        while (!stop.stop_requested() &&
               ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT) != 0)
          std::this_thread::sleep_for(milliseconds(10));
    }
  }

  Answer answer_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::jthread thread_;
};

std::string answer(int status, const std::string& body, const std::string& headers = {}) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "\r\n" + body;
}

const std::string kManifest = R"({"schemaVersion":2})";
const std::string kPath = "/v2/team/app/manifests/1";

RegistryClient client(const Server& server, RegistryClient::Options options = {}) {
  options.first_pause = milliseconds(2);
  return RegistryClient(*ImageReference::parse(server.host() + "/team/app:1"), std::move(options));
}

Descriptor blob_of(const std::string& content) { return {"", Digest::of(content), content.size()}; }

Result<std::string> download(RegistryClient& from, const std::string& content,
                             std::uint64_t offset = 0) {
  const auto source = TRY(from.blob(blob_of(content), offset));
  std::string out;
  for (auto chunk = TRY(source->read()); !chunk.empty(); chunk = TRY(source->read()))
    out.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
  return out;
}

TEST(RegistryClient, FetchesAManifestAndAsksForAllItsKinds) {
  Server server([](const Server::Request&) {
    return answer(200, kManifest, "Content-Type: application/json\r\n");
  });
  auto fetched = client(server).manifest("1");
  ASSERT_TRUE(fetched) << fetched.error().text();
  EXPECT_EQ(fetched->bytes, kManifest);
  EXPECT_EQ(fetched->digest, Digest::of(kManifest));
  const std::string head = server.requests().back().head;
  EXPECT_NE(head.find(kOciIndex), std::string::npos);
  EXPECT_NE(head.find(kDockerManifest), std::string::npos);
  EXPECT_EQ(head.find("Authorization"), std::string::npos);
}

TEST(RegistryClient, RefusesAnotherManifestThanPromised) {
  Server server([](const Server::Request&) {
    return answer(200, kManifest, "Docker-Content-Digest: " + Digest::of("x").str() + "\r\n");
  });
  EXPECT_EQ(client(server).manifest("1").error().code(), Errc::corrupt);
  EXPECT_EQ(client(server).manifest(Digest::of("y").str()).error().code(), Errc::corrupt);
  EXPECT_TRUE(
      client(server).manifest(Digest::of(kManifest).str()));  // the digest asked for decides
}

TEST(RegistryClient, CutsOffDocumentsHeadersAndErrorPages) {
  Server huge([](const Server::Request& r) {
    return r.path == "/v2/" ? answer(200, "") : answer(200, std::string(5u << 20, ' '));
  });
  EXPECT_EQ(client(huge).manifest("1").error().code(), Errc::invalid_input);
  Server headers([](const Server::Request& r) {
    std::string many;
    for (int i = 0; i < 3000; ++i)
      many += "X-" + std::to_string(i) + ": " + std::string(50, 'a') + "\r\n";
    return r.path == "/v2/" ? answer(200, "") : answer(200, kManifest, many);
  });
  auto refused = client(headers).manifest("1");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("of headers"), std::string::npos)
      << refused.error().message();
  Server page([](const Server::Request& r) {
    return r.path == "/v2/" ? answer(200, "") : answer(404, std::string(3u << 20, '<'));
  });
  auto missing = client(page).manifest("1");
  EXPECT_EQ(missing.error().code(), Errc::not_found);
  EXPECT_LT(missing.error().message().size(), 500u);
}

TEST(RegistryClient, TriesAgainWhatMayPassAndSaysSo) {
  std::atomic<int> calls{0};
  Server server([&](const Server::Request& r) {
    if (r.path == "/v2/") return answer(200, "");
    const int n = calls.fetch_add(1);
    if (n == 0) return answer(503, "");
    if (n == 1) return answer(429, "", "Retry-After: 0\r\n");
    if (n == 2) return std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n");  // breaks off
    return answer(200, kManifest);
  });
  std::mutex mutex;
  std::vector<std::string> notes;
  auto fetched = client(server, {.note =
                                     [&](const std::string& note) {
                                       const std::lock_guard guard(mutex);
                                       notes.push_back(note);
                                     }})
                     .manifest("1");
  ASSERT_TRUE(fetched) << fetched.error().text();
  ASSERT_EQ(notes.size(), 3u);
  EXPECT_NE(notes[0].find(" answered 503; next try in "), std::string::npos) << notes[0];
  EXPECT_TRUE(notes[0].ends_with(" (2 of 5)")) << notes[0];
  EXPECT_TRUE(notes[1].starts_with("rate limited by 127.0.0.1:")) << notes[1];
}

TEST(RegistryClient, SaysAtOnceHowLongARegistryWantsToBeLeftAlone) {
  std::atomic<int> calls{0};
  Server server([&](const Server::Request& r) {
    if (r.path == "/v2/") return answer(200, "");
    if (calls.fetch_add(1) == 0) return answer(429, "", "Retry-After: 2\r\n");
    return answer(429, R"({"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]})",
                  "Retry-After: 3600\r\n");
  });
  std::mutex mutex;
  std::vector<std::string> notes;
  const auto before = std::chrono::steady_clock::now();
  auto fetched = client(server, {.note =
                                     [&](const std::string& note) {
                                       const std::lock_guard guard(mutex);
                                       notes.push_back(note);
                                     }})
                     .manifest("1");
  ASSERT_FALSE(fetched);
  // An hour is not waited for, and not asked again in between.
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(20));
  EXPECT_EQ(calls, 2);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_TRUE(notes[0].ends_with("; next try in 2 s (2 of 5)")) << notes[0];
  EXPECT_TRUE(fetched.error().message().starts_with("rate limited by 127.0.0.1:"));
  EXPECT_NE(fetched.error().message().find("pull rate limit"), std::string::npos);
  EXPECT_TRUE(fetched.error().hint().starts_with("try again in 60 min"));
}

TEST(RegistryClient, SaysWhatAnsweredInPlaceOfTheRegistry) {
  const std::string page =
      "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Corporate  gateway</body>";
  Server server([&](const Server::Request& r) {
    if (r.path == "/v2/") return answer(200, "");
    if (r.path.ends_with("/2")) return answer(502, page, "Content-Type: text/html\r\n");
    if (r.path.ends_with("/3")) return answer(404, page, "Content-Type: text/html\r\n");
    return answer(200, page, "Content-Type: text/html; charset=utf-8\r\n");
  });
  auto fetched = client(server, {}).manifest("1");
  ASSERT_FALSE(fetched);
  EXPECT_NE(fetched.error().message().find("answered with text/html; charset=utf-8 (\"Sign in "
                                           "Corporate gateway\") instead of the manifest of "),
            std::string::npos)
      << fetched.error().message();
  EXPECT_NE(fetched.error().hint().find("proxy"), std::string::npos);
  for (const char* tag : {"2", "3"}) {
    auto refused = client(server, {}).manifest(tag);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message().find("Sign in Corporate gateway"), std::string::npos)
        << refused.error().message();
  }
}

TEST(RegistryClient, GivesUpAfterFiveTries) {
  Server server([](const Server::Request& r) {
    return r.path == "/v2/"
               ? answer(200, "")
               : answer(500,
                        R"({"errors":[{"code":"UNKNOWN","message":"disk on\u001b[31m fire"}]})");
  });
  auto failed = client(server).manifest("1");
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("500 UNKNOWN: disk on [31m fire"), std::string::npos)
      << failed.error().message();
  EXPECT_EQ(server.count(kPath), 5);
}

TEST(RegistryClient, ABrokenDownloadGoesOnWhereItBroke) {
  const std::string content(3'000'000, 'z');
  std::atomic<bool> ranges{true};
  std::atomic<int> calls{0};
  Server server([&](const Server::Request& r) {
    if (r.path == "/v2/") return answer(200, "");
    const bool first = calls.fetch_add(1) == 0;
    if (first) return answer(200, content).substr(0, 1'500'000);
    const auto at = r.head.find("Range: bytes=");
    if (!ranges || at == std::string::npos) return answer(200, content);
    const auto offset = *parse_u64(r.head.substr(at + 13, r.head.find('-', at + 13) - at - 13));
    return answer(206, content.substr(offset),
                  "Content-Range: bytes " + std::to_string(offset) + "-" +
                      std::to_string(content.size() - 1) + "/" + std::to_string(content.size()) +
                      "\r\n");
  });
  auto from = client(server);
  auto whole = download(from, content);
  ASSERT_TRUE(whole) << whole.error().text();
  EXPECT_EQ(*whole, content);
  EXPECT_NE(server.requests().back().head.find("Range: bytes=1"), std::string::npos);
  ranges = false;  // a server without ranges sends all of it again
  calls = 0;
  EXPECT_EQ(*download(from, content), content);
  calls = 1;
  EXPECT_EQ(*download(from, content, 2'999'990), std::string(10, 'z'));
}

TEST(RegistryClient, RefusesAnotherRangeOrLength) {
  const std::string content = "0123456789";
  Server server([&](const Server::Request& r) {
    if (r.path == "/v2/") return answer(200, "");
    return r.head.find("Range:") == std::string::npos
               ? answer(200, content + "more")
               : answer(206, content, "Content-Range: bytes 0-9/10\r\n");
  });
  auto from = client(server);
  EXPECT_EQ(download(from, content).error().code(), Errc::corrupt);
  EXPECT_EQ(download(from, content, 5).error().code(), Errc::corrupt);
}

TEST(RegistryClient, AnEndlesslyTruncatedBlobIsGivenUp) {
  const std::string content(1000, 'z');
  Server server([&](const Server::Request& r) {
    return r.path == "/v2/" ? answer(200, "") : answer(200, content).substr(0, 600);
  });
  auto from = client(server);
  auto cut = download(from, content);
  ASSERT_FALSE(cut);
  EXPECT_NE(cut.error().message().find(" of 1000 bytes of sha256:"), std::string::npos)
      << cut.error().message();
  EXPECT_LT(server.requests().size(), 30u);
}

TEST(RegistryClient, AStallIsAnError) {
  Server server([&](const Server::Request& r) {
    return r.path == "/v2/"
               ? answer(200, "")
               : std::string("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabcHANG");
  });
  RegistryClient from(*ImageReference::parse(server.host() + "/team/app:1"),
                      {.stall = milliseconds(100), .first_pause = milliseconds(2)});
  auto stalled = download(from, std::string(100000, 'a'));
  ASSERT_FALSE(stalled);
  EXPECT_EQ(stalled.error().code(), Errc::timed_out) << stalled.error().text();
}

TEST(RegistryClient, WaitingCanBeCancelled) {
  Server server([&](const Server::Request& r) {
    return r.path == "/v2/" ? answer(200, "") : std::string("HANG");
  });
  std::stop_source stop;
  auto from = client(server, {.stop = stop.get_token()});
  std::jthread later([&] {
    std::this_thread::sleep_for(milliseconds(100));
    stop.request_stop();
  });
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(from.manifest("1").error().code(), Errc::cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - started, milliseconds(2000));
}

TEST(RegistryClient, TokensStayWithTheRegistry) {
  Server elsewhere([](const Server::Request&) { return answer(200, "content"); });
  std::string host;
  Server server([&](const Server::Request& r) {
    if (r.path.substr(0, 7) == "/token?") return answer(200, R"({"token":"secret"})");
    if (r.head.find("Authorization: Bearer secret") == std::string::npos)
      return answer(
          401, "",
          "WWW-Authenticate: Bearer realm=\"http://" + host + "/token\",service=\"s\"\r\n");
    if (r.path.find("/blobs/") != std::string::npos)
      return answer(307, "", "Location: http://" + elsewhere.host() + "/cdn\r\n");
    return answer(200, kManifest);
  });
  host = server.host();
  auto from = client(server);
  ASSERT_TRUE(from.manifest("1"));
  auto content = download(from, "content");
  ASSERT_TRUE(content) << content.error().text();
  EXPECT_EQ(elsewhere.requests().at(0).head.find("Authorization"), std::string::npos);
  EXPECT_NE(server.requests().at(2).path.find("scope=repository%3Ateam%2Fapp%3Apull&service=s"),
            std::string::npos)
      << server.requests().at(2).path;
}

TEST(RegistryClient, AnExpiredTokenIsRenewedOnce) {
  std::string host;
  std::atomic<int> tokens{0};
  Server server([&](const Server::Request& r) {
    if (r.path.substr(0, 7) == "/token?")
      return answer(200, R"({"access_token":"t)" + std::to_string(++tokens) + "\"}");
    if (r.head.find("Bearer t" + std::to_string(std::max(tokens.load(), 1)) + "\r") ==
            std::string::npos ||
        (tokens == 1 && r.path.find("/blobs/") != std::string::npos))
      return answer(401, "", "WWW-Authenticate: Bearer realm=\"http://" + host + "/token\"\r\n");
    return r.path.find("/blobs/") != std::string::npos ? answer(200, "content")
                                                       : answer(200, kManifest);
  });
  host = server.host();
  auto from = client(server);
  ASSERT_TRUE(from.manifest("1"));
  EXPECT_EQ(*download(from, "content"), "content");
  EXPECT_EQ(tokens, 2);
}

TEST(RegistryClient, AForeignRealmIsNotAsked) {
  Server elsewhere([](const Server::Request&) { return answer(200, R"({"token":"x"})"); });
  Server server([&](const Server::Request&) {
    return answer(401, "",
                  "WWW-Authenticate: Bearer realm=\"http://" + elsewhere.host() + "/token\"\r\n");
  });
  auto refused = client(server, {.login = Credentials{"user", "secret"}}).manifest("1");
  EXPECT_EQ(refused.error().code(), Errc::denied);
  EXPECT_TRUE(elsewhere.requests().empty());
}

TEST(RegistryClient, ALoginIsForTheRegistryAlone) {
  Server elsewhere([](const Server::Request&) {
    return answer(401, "", "WWW-Authenticate: Basic realm=\"x\"\r\n");
  });
  Server server([&](const Server::Request& r) {
    if (r.head.find("Authorization: Basic dXNlcjpzZWNyZXQ=") == std::string::npos)
      return answer(401, "", "WWW-Authenticate: Basic realm=\"x\"\r\n");
    return answer(302, "", "Location: http://" + elsewhere.host() + "/x\r\n");
  });
  EXPECT_EQ(client(server, {.login = Credentials{"user", "secret"}}).manifest("1").error().code(),
            Errc::denied);
  ASSERT_EQ(elsewhere.requests().size(), 1u);
  EXPECT_EQ(elsewhere.requests()[0].head.find("Authorization"), std::string::npos);
  const std::string hint = client(server).manifest("1").error().hint();
  EXPECT_TRUE(hint.ends_with("locald login " + server.host())) << hint;
}

TEST(RegistryClient, UnusableTokensAreRefused) {
  for (const std::string& body : {std::string(R"({"token":"a\r\nX-Evil: 1"})"), std::string("{}"),
                                  std::string("<html>"), std::string(2u << 20, ' ')}) {
    std::string host;
    Server server([&](const Server::Request& r) {
      if (r.path.substr(0, 7) == "/token?") return answer(200, body);
      return answer(401, "", "WWW-Authenticate: Bearer realm=\"http://" + host + "/token\"\r\n");
    });
    host = server.host();
    EXPECT_FALSE(client(server).manifest("1"));
  }
}

TEST(RegistryClient, CirclesAndForbiddenRedirectsEnd) {
  Server circle([](const Server::Request& r) {
    return r.path == "/v2/" ? answer(200, "") : answer(307, "", "Location: /again\r\n");
  });
  auto round = client(circle).manifest("1");
  EXPECT_NE(round.error().message().find("in circles"), std::string::npos)
      << round.error().message();
  for (const std::string& to :
       std::vector<std::string>{"file:///etc/passwd", "http://169.254.169.254/latest",
                                "http://example.com/x", "http://user:pw@127.0.0.1/"}) {
    Server server([&](const Server::Request& r) {
      return r.path == "/v2/" ? answer(200, "") : answer(307, "", "Location: " + to + "\r\n");
    });
    EXPECT_FALSE(client(server).manifest("1")) << to;
  }
}

TEST(RegistryClient, SaysWhenNobodyAnswers) {
  std::string host;
  {
    Server server([](const Server::Request&) { return std::string(); });
    host = server.host();
  }
  auto down = RegistryClient(*ImageReference::parse(host + "/team/app:1"), {}).manifest("1");
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().message(), "nobody answers at " + host + ": Connection refused");
}

TEST(RetryAfter, IsSecondsOrADate) {
  EXPECT_EQ(retry_after_seconds("3", 0), 3);
  EXPECT_EQ(retry_after_seconds("99999999999999999999", 0), 1 << 30);
  EXPECT_EQ(retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT", 784111767), 10);
  EXPECT_EQ(retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT", 784119999), 0);
  EXPECT_EQ(retry_after_seconds("-1", 0), std::nullopt);
  EXPECT_EQ(retry_after_seconds("soon", 0), std::nullopt);
}

}  // namespace
}  // namespace locald::oci
