#include "server/launch/launch_plan.h"

#include <gtest/gtest.h>

#include <memory>

namespace locald::server {
namespace {

using project::ServiceConfig;
using project::VolumeConfig;

/// A request for a container of this configuration.
LaunchRequest request_for(ServiceConfig config) {
  LaunchRequest request;
  request.project = "shop";
  request.dir = "/p";
  config.name = "web";
  request.config = std::make_shared<ServiceConfig>(std::move(config));
  request.user = std::make_shared<project::UserContext>();
  return request;
}

TEST(LaunchPlan, InitIsWhatTheFileSays) {
  ServiceConfig config;
  EXPECT_FALSE(container_options(request_for(config), {})->init);
  config.init = true;
  EXPECT_TRUE(container_options(request_for(config), {})->init);
}

TEST(LaunchPlan, AHostProcessHasTheUsersWorldAndWhatTheFileAdds) {
  ServiceConfig config;
  config.env = {{"A", "file"}};
  config.unset = {"GONE"};
  config.cwd = "/p";
  project::UserContext user;
  user.env = {{"A", "shell"}, {"B", "shell"}, {"GONE", "x"}, {"LOCALD_INSTANCE", "outer"}};
  user.rlimits = {{"NOFILE", {256, 512}}, {"NO_SUCH", {1, 1}}};
  const runtime::HostProcess process = host_process(config, user, {"sh", "-c", "true"});
  EXPECT_EQ(process.env, (std::vector<std::string>{"A=file", "B=shell"}));
  ASSERT_EQ(process.rlimits.size(), 1u);
  EXPECT_EQ(process.rlimits[0].second.rlim_cur, 256u);
  EXPECT_EQ(process.rlimits[0].second.rlim_max, 512u);
}

TEST(LaunchPlan, AnAutomaticRestartBuildsNothing) {
  ServiceConfig config;
  config.app.emplace();
  config.app->path = "/p/app";
  LaunchRequest request = request_for(config);
  EXPECT_TRUE(std::get<FromApp>(source_request(request, {})->from).build);
  request.restarts = 1;
  EXPECT_FALSE(std::get<FromApp>(source_request(request, {})->from).build);
}

TEST(LaunchPlan, VolumesAndPeersBecomeMountsAndHosts) {
  ServiceConfig config;
  config.image = "redis:7";
  config.volumes = {{.kind = VolumeConfig::Kind::bind,
                     .source = "/p/conf",
                     .target = "/conf/",
                     .read_only = true},
                    {.kind = VolumeConfig::Kind::tmpfs, .target = "/tmp", .options = "size=1m"}};
  LaunchRequest request = request_for(config);
  request.hosts = {"db"};
  const auto options =
      container_options(request, *net::HostNetwork().attach(attach_request(request)));
  ASSERT_TRUE(options) << options.error().text();
  ASSERT_EQ(options->mounts.size(), 2u);
  EXPECT_EQ(options->mounts[0].target, "/conf");
  EXPECT_TRUE(options->mounts[0].read_only);
  EXPECT_EQ(options->mounts[1].tmpfs_bytes, 1u << 20);
  EXPECT_EQ(options->network.names.at("db").at(0), "127.0.0.1");
  const auto source = source_request(request, {});
  ASSERT_TRUE(source);
  EXPECT_EQ(std::get<FromImage>(source->from).policy, oci::PullPolicy::missing);
}

TEST(LaunchPlan, TheContainersFolderChangesWithTheConfiguration) {
  ServiceConfig a, b;
  a.name = b.name = "web";
  b.env = {{"A", "1"}};
  EXPECT_EQ(container_key("shop", a), container_key("shop", a));
  EXPECT_NE(container_key("shop", a), container_key("shop", b));
  EXPECT_TRUE(container_key("shop", a).starts_with("shop.web."));
}

}  // namespace
}  // namespace locald::server
