#include "oci/transfer/registry_push.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "base/strings.h"
#include "base/sys/unique_fd.h"
#include "oci/layer/test_tree.h"
#include "oci/store/test_image.h"

namespace locald::oci {
namespace {

using std::chrono::milliseconds;

/// What a registry does with uploads, in memory; each misbehaviour is a switch.
class Registry {
 public:
  struct Request {
    std::string method, path, head, body;
  };

  Registry() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    host = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
  }

  std::string host;
  // Set before the first request:
  std::string token;   // wanted as a bearer
  int break_puts = 0;  // of whole blobs, after some bytes
  int break_patches = 0;
  bool small_puts_only = false;  // 413
  bool forget_uploads = false;   // a session that broke is gone
  std::string lie;               // as the digest of what was taken
  int manifest_answers_500 = 0;

  std::map<std::string, std::string> blobs;      // "repository@digest" -> content
  std::map<std::string, std::string> manifests;  // "repository:tag"

  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int count(const std::string& method, const std::string& part) const {
    const auto all = requests();
    return static_cast<int>(std::count_if(all.begin(), all.end(), [&](const Request& r) {
      return r.method == method && r.path.find(part) != std::string::npos;
    }));
  }

 private:
  void keep(const Request& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  static std::string header(const std::string& head, const std::string& name) {
    const std::size_t at = to_lower(head).find("\n" + to_lower(name) + ": ");
    if (at == std::string::npos) return {};
    const std::size_t from = at + name.size() + 3;
    return head.substr(from, head.find('\r', from) - from);
  }
  static std::string answer(int status, const std::string& headers = {},
                            const std::string& body = {}) {
    return "HTTP/1.1 " + std::to_string(status) +
           " X\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           headers + "\r\n" + body;
  }

  void serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd wait{listener_.get(), POLLIN, 0};
      if (::poll(&wait, 1, 20) != 1) continue;
      const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::string in;
      char buffer[65536];
      const auto more = [&] {
        const ssize_t n = ::recv(peer.get(), buffer, sizeof buffer, 0);
        if (n > 0) in.append(buffer, static_cast<std::size_t>(n));
        return n > 0;
      };
      while (in.find("\r\n\r\n") == std::string::npos && more()) {
      }
      const std::size_t end = in.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      Request r;
      r.head = in.substr(0, end + 2);
      in.erase(0, end + 4);
      const auto words = split(r.head.substr(0, r.head.find('\r')), ' ');
      r.method = words[0];
      r.path = words[1];
      const std::size_t length = parse_u64(header(r.head, "Content-Length")).value_or(0);
      const bool whole =
          r.method == "PUT" && r.path.find("/uploads/") != std::string::npos && length > 0;
      if (whole && break_puts > 0) {
        --break_puts;
        while (in.size() < length / 2 && more()) {
        }
        keep(r);
        continue;  // hangs up
      }
      if (r.method == "PATCH" && break_patches > 0) {
        --break_patches;
        while (in.size() < length / 2 && more()) {
        }
        uploads_[session_of(r.path)] += in.substr(0, length / 2);
        keep(r);
        if (forget_uploads) uploads_.erase(session_of(r.path));
        continue;
      }
      while (in.size() < length && more()) {
      }
      r.body = in;
      const std::string out = reply(r);
      keep(r);
      for (std::size_t sent = 0; sent < out.size();) {
        const ssize_t n = ::send(peer.get(), out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<std::size_t>(n);
      }
    }
  }

  static std::string session_of(const std::string& path) {
    const std::size_t from = path.find("/uploads/") + 9;
    return path.substr(from, path.find('?') - from);
  }

  std::string reply(const Request& r) {
    if (r.path.starts_with("/token?")) return answer(200, "", R"({"token":")" + token + "\"}");
    if (r.path == "/v2/") return answer(token.empty() ? 200 : 401);
    if (!token.empty() && header(r.head, "Authorization") != "Bearer " + token)
      return answer(
          401, "WWW-Authenticate: Bearer realm=\"http://" + host + "/token\",service=\"s\"\r\n");
    const std::size_t blobs_at = r.path.find("/blobs/"), manifests_at = r.path.find("/manifests/");
    if (manifests_at != std::string::npos) {
      if (manifest_answers_500 > 0) {
        --manifest_answers_500;
        return answer(500);
      }
      manifests[r.path.substr(4, manifests_at - 4) + ":" + r.path.substr(manifests_at + 11)] =
          r.body;
      return answer(201, "Docker-Content-Digest: " + Digest::of(r.body).str() + "\r\n");
    }
    const std::string repository = r.path.substr(4, blobs_at - 4);
    const auto query = [&](const std::string& name) {
      const std::size_t at = r.path.find(name + "=");
      return at == std::string::npos
                 ? std::string()
                 : r.path.substr(at + name.size() + 1, r.path.find('&', at) - at - name.size() - 1);
    };
    if (r.method == "HEAD")
      return answer(blobs.contains(repository + "@" + r.path.substr(blobs_at + 7)) ? 200 : 404);
    if (r.method == "POST") {
      if (const auto from = blobs.find(query("from") + "@" + query("mount")); from != blobs.end()) {
        blobs[repository + "@" + query("mount")] = from->second;
        return answer(201);
      }
      const std::string session = "s" + std::to_string(++sessions_);
      uploads_[session] = "";
      // Relative, and with a query of its own, as some have it.
      return answer(202,
                    "Location: /v2/" + repository + "/blobs/uploads/" + session + "?state=x\r\n");
    }
    const std::string session = session_of(r.path);
    if (!uploads_.contains(session)) return answer(404);
    std::string& content = uploads_[session];
    const std::string place = "Location: http://" + host + "/v2/" + repository + "/blobs/uploads/" +
                              session + "?state=y\r\n";
    const auto range = [&] {
      return "Range: 0-" + std::to_string(content.empty() ? 0 : content.size() - 1) + "\r\n";
    };
    if (r.method == "GET") return answer(204, place + range());
    if (r.method == "PATCH") {
      if (header(r.head, "Content-Range").substr(0, header(r.head, "Content-Range").find('-')) !=
          std::to_string(content.size()))
        return answer(416, place + range());
      content += r.body;
      return answer(202, place + range());
    }
    if (small_puts_only && r.body.size() > 1000) return answer(413);
    content += r.body;
    if (Digest::of(content).str() != query("digest"))
      return answer(400, "", R"({"errors":[{"code":"DIGEST_INVALID","message":"no"}]})");
    blobs[repository + "@" + query("digest")] = content;
    return answer(201, "Docker-Content-Digest: " + (lie.empty() ? query("digest") : lie) + "\r\n");
  }

  UniqueFd listener_;
  std::map<std::string, std::string> uploads_;
  int sessions_ = 0;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::jthread thread_;
};

struct PushWorld {
  PushWorld() : store(*ImageStore::open(dir / "images")) {
    test::TestImage made;
    made.layers = {test::tar({test::member("a", std::string(300'000, 'a'))}),
                   test::tar({test::member("b", "small")})};
    made.write(dir / "from", "x");
    const auto& layout = store.layout();
    for (const std::string& text : {made.layers[0], made.layers[1], made.config(), made.manifest()})
      EXPECT_TRUE(store.layout().add_document({"", Digest::of(text), text.size()}, text));
    (void)layout;
    EXPECT_TRUE(store.tag(Digest::of(made.manifest()), *ImageReference::parse("test/image:1")));
    image.emplace(*store.find(*ImageReference::parse("test/image:1")));
  }
  Result<PushResult> push(Registry& registry, PushOptions options = {}) {
    options.first_pause = milliseconds(2);
    return oci::push(store.layout(), *image, *ImageReference::parse(registry.host + "/team/app:2"),
                     options);
  }
  bool arrived(const Registry& registry) const {
    const auto found = registry.manifests.find("team/app:2");
    if (found == registry.manifests.end() || Digest::of(found->second) != image->manifest_digest)
      return false;
    std::vector<Descriptor> all = image->manifest.layers;
    all.push_back(image->manifest.config);
    return std::all_of(all.begin(), all.end(), [&](const Descriptor& blob) {
      const auto there = registry.blobs.find("team/app@" + blob.digest.str());
      return there != registry.blobs.end() && Digest::of(there->second) == blob.digest;
    });
  }

  test::TempDir dir;
  ImageStore store;
  std::optional<StoredImage> image;
};

TEST(RegistryPush, SendsWhatIsMissingAndThenTheManifest) {
  PushWorld world;
  Registry registry;
  std::vector<PushProgress> told;
  const auto pushed = world.push(
      registry, {.progress = [&](const PushProgress& progress) { told.push_back(progress); }});
  ASSERT_TRUE(pushed) << pushed.error().text();
  EXPECT_EQ(pushed->uploaded, 3u);
  EXPECT_TRUE(world.arrived(registry));
  EXPECT_EQ(registry.requests().back().method, "PUT");
  EXPECT_NE(registry.requests().back().head.find(
                "Content-Type: application/vnd.oci.image.manifest.v1+json"),
            std::string::npos);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().phase, PushProgress::Phase::finished);
  EXPECT_EQ(told.back().blobs_done, 3u);

  const std::size_t before = registry.requests().size();
  const auto again = world.push(registry);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->there_before, 3u);
  EXPECT_EQ(again->uploaded_bytes, 0u);
  EXPECT_EQ(registry.requests().size() - before, 1u + 3 + 1);  // /v2/, HEADs, manifest
}

TEST(RegistryPush, MountsFromARepositoryThatHasIt) {
  PushWorld world;
  Registry registry;
  const Digest layer = world.image->manifest.layers[0].digest;
  registry.blobs["library/base@" + layer.str()] =
      *world.store.layout().read_document(layer, 1u << 20);
  const auto pushed = world.push(
      registry, {.elsewhere = {{layer, {"wrong/place", "library/base"}},
                               {world.image->manifest.layers[1].digest, {"wrong/place"}}}});
  ASSERT_TRUE(pushed) << pushed.error().text();
  EXPECT_EQ(pushed->mounted, 1u);
  EXPECT_EQ(pushed->uploaded, 2u);
  EXPECT_TRUE(world.arrived(registry));
  // The session that a mount in vain opens is used.
  EXPECT_EQ(registry.count("POST", "mount="), 3);
  EXPECT_EQ(registry.count("POST", "uploads/"), 4);
}

TEST(RegistryPush, AsksForATokenThatMayPushAndMount) {
  PushWorld world;
  Registry registry;
  registry.token = "secret";
  const auto pushed = world.push(
      registry, {.elsewhere = {{world.image->manifest.layers[0].digest, {"library/base"}},
                               {Digest::of("another image's"), {"not/asked/for"}}}});
  ASSERT_TRUE(pushed) << pushed.error().text();
  EXPECT_TRUE(world.arrived(registry));
  ASSERT_EQ(registry.count("GET", "/token?"), 1);
  const auto requests = registry.requests();
  const auto request = std::find_if(requests.begin(), requests.end(),
                                    [](const auto& r) { return r.path.starts_with("/token?"); });
  EXPECT_EQ(request->path,
            "/token?scope=repository%3Ateam%2Fapp%3Apull%2Cpush&scope=repository%3Alibrary%2Fbase%"
            "3Apull&service=s");
}

TEST(RegistryPush, AnUploadThatBrokeGoesOnInPieces) {
  PushWorld world;
  Registry registry;
  registry.break_puts = 1;
  registry.break_patches = 2;
  const auto pushed = world.push(registry, {.parallel_blobs = 1, .chunk_bytes = 100'000});
  ASSERT_TRUE(pushed) << pushed.error().text();
  EXPECT_TRUE(world.arrived(registry));
  EXPECT_GE(registry.count("PATCH", "uploads/"), 4);
  EXPECT_EQ(registry.count("GET", "uploads/"), 2);
}

TEST(RegistryPush, BeginsAnewWhereTheRegistryForgotTheUpload) {
  PushWorld world;
  Registry registry;
  registry.break_puts = 1;
  registry.break_patches = 1;
  registry.forget_uploads = true;
  const auto pushed = world.push(registry, {.parallel_blobs = 1, .chunk_bytes = 100'000});
  ASSERT_TRUE(pushed) << pushed.error().text();
  EXPECT_TRUE(world.arrived(registry));
}

TEST(RegistryPush, SendsPiecesWhereAWholeIsTooLarge) {
  PushWorld world;
  Registry registry;
  registry.small_puts_only = true;
  const auto pushed = world.push(registry, {.chunk_bytes = 65'536});
  ASSERT_TRUE(pushed) << pushed.error().text();
  EXPECT_TRUE(world.arrived(registry));
}

TEST(RegistryPush, GivesUpWhereNothingArrives) {
  PushWorld world;
  Registry registry;
  registry.break_puts = registry.break_patches = 1000;
  registry.forget_uploads = true;
  const auto pushed = world.push(registry, {.parallel_blobs = 1});
  ASSERT_FALSE(pushed);
  EXPECT_NE(pushed.error().message().find("failed repeatedly at"), std::string::npos)
      << pushed.error().text();
  EXPECT_LT(registry.count("PATCH", ""), 30);
  EXPECT_TRUE(registry.manifests.empty());
}

TEST(RegistryPush, NeverPublishesADamagedBlob) {
  for (const bool pieces : {false, true}) {
    PushWorld world;
    Registry registry;
    registry.small_puts_only = pieces;
    const Digest layer = world.image->manifest.layers[0].digest;
    std::fstream(world.dir / ("images/blobs/sha256/" + layer.hex()),
                 std::ios::in | std::ios::out | std::ios::binary)
        .seekp(1000)
        .put('!');
    const auto pushed = world.push(registry);
    ASSERT_FALSE(pushed);
    EXPECT_EQ(pushed.error().code(), Errc::corrupt) << pushed.error().text();
    EXPECT_TRUE(registry.manifests.empty());
    EXPECT_FALSE(registry.blobs.contains("team/app@" + layer.str()));
  }
}

TEST(RegistryPush, DoesNotBelieveARegistryThatTookOtherBytes) {
  PushWorld world;
  Registry registry;
  registry.lie = Digest::of("other").str();
  const auto pushed = world.push(registry);
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code(), Errc::corrupt);
  EXPECT_TRUE(registry.manifests.empty());
}

TEST(RegistryPush, TriesTheManifestAgain) {
  PushWorld world;
  Registry registry;
  registry.manifest_answers_500 = 2;
  ASSERT_TRUE(world.push(registry));
  EXPECT_TRUE(world.arrived(registry));
}

TEST(RegistryPush, CanBeCancelled) {
  PushWorld world;
  Registry registry;
  std::stop_source stop;
  stop.request_stop();
  const auto pushed = world.push(registry, {.stop = stop.get_token()});
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code(), Errc::cancelled);
  EXPECT_TRUE(registry.manifests.empty());
}

TEST(RegistryPush, WantsATag) {
  PushWorld world;
  for (const char* name :
       {"oci:/tmp/x:1",
        "127.0.0.1:1/a@sha256:0000000000000000000000000000000000000000000000000000000000000000"})
    EXPECT_EQ(
        push(world.store.layout(), *world.image, *ImageReference::parse(name), {}).error().code(),
        Errc::invalid_input);
}

TEST(RegistryPush, KnowsFromTheStoresNamesWhereBlobsAre) {
  PushWorld world;
  const Digest manifest = world.image->manifest_digest;
  for (const char* name : {"here:5000/a/b:1", "here:5000/a/b:2", "here:5000/c:1", "elsewhere/d:1"})
    ASSERT_TRUE(world.store.tag(manifest, *ImageReference::parse(name)));
  const auto known = blobs_elsewhere(world.store, "here:5000");
  ASSERT_TRUE(known);
  ASSERT_EQ(known->size(), 2u);
  EXPECT_EQ(known->begin()->second, (std::vector<std::string>{"a/b", "c"}));
}

}  // namespace
}  // namespace locald::oci
