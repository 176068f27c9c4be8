// What decides whether a service has changed, and what names its container's writable folder: the
// text of a configuration, byte for byte as earlier servers wrote it (tests/golden/configurations).
// A text that differs here restarts services and loses containers' folders at an upgrade.
#include <gtest/gtest.h>

#include <string>

#include "base/source_dir.h"
#include "base/sys/fs_at.h"
#include "project/canonical_text.h"
#include "server/launch/launch_plan.h"

namespace locald::server {
namespace {

using project::Milliseconds;
using project::ServiceConfig;
using project::ServiceKind;
using project::VolumeConfig;

ServiceConfig plain() {
  ServiceConfig c;
  c.name = "web";
  return c;
}

ServiceConfig host() {
  ServiceConfig c;
  c.name = "web";
  c.argv = {"sh", "-c", "npm run dev -- \"$PORT\"\n"};
  c.cwd = "/home/me/shop/web";
  c.env = {{"A", "1"}, {"BYTES", "\xff\xfe\x01"}, {"GRUESS", "Gr\xc3\xbc\xc3\x9f \\ \"x\"/\t"}};
  c.unset = {"CI", "NODE_ENV"};
  c.port = 8080;
  c.auto_port = true;
  c.depends_on = {{"db", project::DependsCondition::healthy},
                  {"setup", project::DependsCondition::completed}};
  c.health.kind = project::HealthSpec::Kind::http;
  c.health.host = "localhost";
  c.health.port = 8080;
  c.health.path = "/health?full=1";
  c.health.interval = Milliseconds(500);
  c.health.timeout = Milliseconds(250);
  c.health.start_period = Milliseconds(60000);
  c.health.retries = 7;
  c.restart = {project::RestartMode::on_failure, 5, Milliseconds(600000)};
  c.stop_signal = 2;
  c.stop_timeout = Milliseconds(1500);
  c.tty = true;
  return c;
}

ServiceConfig container() {
  ServiceConfig c;
  c.name = "db";
  c.kind = ServiceKind::container;
  c.argv = {"postgres", "-c", "fsync=off"};
  c.env = {{"POSTGRES_PASSWORD", "x"}};
  c.port = 5432;
  c.health.kind = project::HealthSpec::Kind::exec;
  c.health.argv = {"pg_isready", "-q"};
  c.health.pattern = "ready to accept";
  c.image = "docker.io/library/postgres:16";
  c.pull = project::PullPolicy::always;
  c.entrypoint = {"docker-entrypoint.sh"};
  c.volumes = {{VolumeConfig::Kind::named, "data", "/var/lib/postgresql/data", false, ""},
               {VolumeConfig::Kind::bind, "/home/me/shop/init", "/init", true, ""},
               {VolumeConfig::Kind::anonymous, "", "/scratch", false, ""},
               {VolumeConfig::Kind::tmpfs, "", "/run", false, "size=64m"}};
  c.user = "999:999";
  c.memory = 536870912;
  c.cpus = 1.5;
  c.pids = 200;
  return c;
}

ServiceConfig with_init() {
  ServiceConfig c = container();
  c.cpus = 2;
  c.init = true;
  return c;
}

/// What it publishes, and where it listens, does not decide.
ServiceConfig networked() {
  ServiceConfig c = container();
  c.network = "project";
  c.networks = {{.network = "back",
                 .aliases = {"pg"},
                 .address = "10.100.0.9",
                 .subnet = "10.100.0.0/24",
                 .internal = false,
                 .ipv6 = true,
                 .allow = {"169.254.0.0/16"}}};
  c.container_port = 5432;
  c.health.port = 5432;
  c.ports = {{.address = "", .port = 15432, .container_port = 5432}};
  c.host_access = {3306};
  return c;
}

ServiceConfig app() {
  ServiceConfig c;
  c.name = "api";
  c.kind = ServiceKind::cnb;
  c.port = 3000;
  c.app.emplace();
  c.app->project = "shop";
  c.app->path = "/home/me/shop/api";
  c.app->builder = "paketobuildpacks/builder-jammy-base";
  c.app->base_dir = "/home/me/shop";
  c.process = "web";
  c.args = {"--verbose"};
  c.bindings = {{"db", "/home/me/shop/bindings/db"}};
  return c;
}

ServiceConfig rich_app() {
  ServiceConfig c = app();
  c.app->variant = "debug";
  c.app->run_image = "oci:/images/run:1";
  c.app->pull = "always";
  c.app->env = {{"BP_NODE_VERSION", "22"}};
  c.app->bindings = {{"ca", "/home/me/certs"}};
  c.app->host_ca = false;
  c.app->host_ca_file = "/etc/ca.pem";
  c.app->proxies = {{"HTTP_PROXY", "http://p:1"}};
  c.app->exec_env = "test";
  c.app->live = {"src", "public"};
  c.app->strict = true;
  c.app->timeout = Milliseconds(60000);
  c.late = {{project::LateText::Place::env, "A", {{"x", "db", "host"}}}};
  return c;
}

struct Recorded {
  const char* name;
  ServiceConfig (*config)();
  const char* key;  ///< of its container's folder in the project "shop"
};

void PrintTo(const Recorded& recorded, std::ostream* out) { *out << recorded.name; }

class ConfigurationTextTest : public testing::TestWithParam<Recorded> {};

TEST_P(ConfigurationTextTest, IsThatOfEarlierServers) {
  const ServiceConfig config = GetParam().config();
  const auto before = read_file(std::string(LOCALD_SOURCE_DIR) + "/tests/golden/configurations/" +
                                GetParam().name + ".json");
  ASSERT_TRUE(before) << before.error().text();
  const std::string text = project::canonical_text(config);
  EXPECT_EQ(text + "\n", *before);
  EXPECT_EQ(container_key("shop", config), GetParam().key);
}

TEST_P(ConfigurationTextTest, IsTheSameOnceItWasReadBack) {
  const ServiceConfig config = GetParam().config();
  const auto again = ServiceConfig::from_json(config.to_json());
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(project::canonical_text(*again), project::canonical_text(config));
  EXPECT_EQ(again->to_json().dump(), config.to_json().dump());
}

/// A member that is written down and does not decide would change without anybody noticing.
TEST_P(ConfigurationTextTest, HasEveryMemberOfTheRecord) {
  const ServiceConfig config = GetParam().config();
  const Json text = project::canonical_form(config), record = config.to_json();
  for (const auto& [member, value] : record.as_object()) {
    if (config.network != "host" && (member == "ports" || member == "container_port")) continue;
    EXPECT_TRUE(text.contains(member)) << member;
    for (const auto& [inner, more] : value.as_object())
      EXPECT_TRUE(text[member].contains(inner)) << member << "." << inner;
  }
}

INSTANTIATE_TEST_SUITE_P(Of, ConfigurationTextTest,
                         testing::Values(Recorded{"plain", plain, "shop.web.bffc770f"},
                                         Recorded{"host", host, "shop.web.a345acaf"},
                                         Recorded{"container", container, "shop.db.4b3bcb0d"},
                                         Recorded{"with_init", with_init, "shop.db.24d2e698"},
                                         Recorded{"networked", networked, "shop.db.070ce8fa"},
                                         Recorded{"app", app, "shop.api.a4df8a6b"},
                                         Recorded{"rich_app", rich_app, "shop.api.5e07fded"}),
                         [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace locald::server
