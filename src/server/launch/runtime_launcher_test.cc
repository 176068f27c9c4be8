#include "server/launch/runtime_launcher.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <memory>
#include <optional>
#include <string>

#include "base/sys/fs_at.h"
#include "net/network.h"

namespace locald::server {
namespace {

/// A launcher without a shim: each start fails.
class Launches : public testing::Test {
 protected:
  Launches()
      : paths_(Paths::from_env(
                   [this](const std::string& name) {
                     return name == "LOCALD_HOME" ? std::optional(home_) : std::nullopt;
                   },
                   1000)
                   .value()),
        user_namespace_(kShim),
        runtime_({.paths = paths_, .shim = kShim, .runc = "", .user_namespace = [] { return -1; }}),
        environment_({.paths = paths_, .server_binary = ""}) {
    EXPECT_TRUE(paths_.create());
    auto config = std::make_shared<project::ServiceConfig>();
    config->name = "web";
    config->argv = {"true"};
    config->cwd = "/";
    config->health.kind = project::HealthSpec::Kind::notify;
    config->volumes = {
        {.kind = builder::VolumeConfig::Kind::bind, .source = home_, .target = "/v"}};
    request_ = {.project = "shop",
                .dir = "/",
                .instance = "0123456789ab",
                .nonce = std::string(32, 'a'),
                .config = config,
                .user = std::make_shared<project::UserContext>()};
  }
  ~Launches() override { (void)remove_tree(home_); }

  /// @return what its end said.
  std::string launch(bool call_off) {
    std::string said = "it has started";
    auto job =
        launcher_.launch(request_, {[](const ipc::ProgressEvent&) {}, [](const std::string&) {},
                                    [&](auto started) {
                                      if (!started) said = started.error().message();
                                      loop_.stop();
                                    }});
    if (call_off) job.cancel();
    loop_.run();
    return said;
  }

  static constexpr const char* kShim = "/no/such/locald-shim";
  std::string home_ = [] {
    std::string name = "/tmp/locald-launches-XXXXXX";
    return std::string(::mkdtemp(name.data()));
  }();
  Paths paths_;
  EventLoop loop_;
  runtime::UserNamespace user_namespace_;
  runtime::ProcessRuntime runtime_;
  builder::Environment environment_;
  runtime::ListenerSearch listeners_;
  net::HostNetwork network_;
  RuntimeLauncher launcher_{
      {loop_, runtime_, environment_, paths_, user_namespace_, listeners_, network_}};
  LaunchRequest request_;
};

TEST_F(Launches, NothingIsLeftOfOneThatFailed) {
  EXPECT_NE(launch(/*call_off=*/false).find("locald-shim"), std::string::npos);
  EXPECT_TRUE(names_in(paths_.run() + "/notify").empty());
  EXPECT_TRUE(names_in(paths_.instances()).empty());
  EXPECT_TRUE(environment_.shared().all().empty());
}

TEST_F(Launches, NothingIsLeftOfOneThatWasCalledOffBeforeItsTurn) {
  EXPECT_EQ(launch(/*call_off=*/true).find("it has started"), std::string::npos);
  EXPECT_TRUE(names_in(paths_.run() + "/notify").empty());
  EXPECT_TRUE(environment_.shared().all().empty());
}

TEST_F(Launches, NothingIsLeftOfOneWhoseFolderCannotBeMade) {
  ASSERT_TRUE(make_dirs(paths_.run()));
  ASSERT_TRUE(write_file_atomic(paths_.instances(), "a file in its place"));
  EXPECT_EQ(launch(/*call_off=*/false).find("it has started"), std::string::npos);
  EXPECT_TRUE(names_in(paths_.run() + "/notify").empty());
}

}  // namespace
}  // namespace locald::server
