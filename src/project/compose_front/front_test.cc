// From a compose file to a ProjectSpec: what becomes of each key, what is refused, what is said.
#include <gtest/gtest.h>

#include <stdlib.h>

#include <set>

#include "base/source_dir.h"
#include "base/sys/fs_at.h"
#include "project/compose/shape.h"
#include "project/compose/testing.h"
#include "project/compose_front/compose_front.h"
#include "project/compose_front/effects_page.h"
#include "project/compose_front/key_effects.h"
#include "project/network_check.h"
#include "project/project_check.h"

namespace locald::project::compose {
namespace {

LoadedProject read(const Files& files, ComposeOptions options = {}) {
  ProjectRef ref{.dir = "/p", .file = "", .name = ""};
  ref.compose = std::move(options);
  return read_project(ref, files.access());
}
LoadedProject read(const std::string& text, ComposeOptions options = {}) {
  return read(Files{{{"/p/compose.yaml", text}}}, std::move(options));
}

/// The only service, of an image, with `body` in flow style.
ServiceSpec a(const std::string& body, ComposeOptions options = {}) {
  const LoadedProject project =
      read("services: {a: {image: x, " + body + "}}\nvolumes: {data: }\n", std::move(options));
  EXPECT_EQ(describe(project.problems), "");
  return project.spec.services.empty() ? ServiceSpec() : project.spec.services[0];
}
/// What is wrong with it.
std::string refused(const std::string& body, ComposeOptions options = {}) {
  return describe(
      read("services: {a: {image: x, " + body + "}}\nvolumes: {data: }\n", std::move(options))
          .problems);
}
std::string said(const std::string& text, ComposeOptions options = {}) {
  return join(read(text, std::move(options)).notices, "\n");
}

std::string raw(const std::vector<Text>& texts) {
  std::vector<std::string> out;
  for (const Text& text : texts) out.push_back(text.raw);
  return join(out, "|");
}

TEST(ComposeFront, TakesOverWhatAServiceSays) {
  const LoadedProject project = read(R"(
name: shop
services:
  web:
    image: nginx:${TAG:-1}
    command: echo "a b" $$HOME
    environment: {MODE: dev, GONE: , PRICE: 5$$}
    user: "1000:1000"
    working_dir: /srv
    tty: true
    init: true
    stop_signal: SIGINT
    stop_grace_period: 1m30s
    restart: on-failure:5
    pull_policy: always
    mem_limit: 64m
    cpus: 1.5
    pids_limit: 50
    ports: ["8080:80", "127.0.0.1:9000-9001:9000-9001/udp", "3000"]
    depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}
    healthcheck: {test: [CMD, curl, "$$X"], interval: 10s, timeout: 3s, retries: 5, start_period: 1m}
  db: {image: postgres}
  job: {image: alpine, entrypoint: [run], command: [it]}
)");
  EXPECT_EQ(describe(project.problems), "");
  EXPECT_EQ(project.name, "shop");
  EXPECT_EQ(project.spec.dir, "/p");
  EXPECT_EQ(project.spec.network.mode, NetworkUse::Mode::project);
  ASSERT_EQ(project.spec.services.size(), 3u);
  const ServiceSpec& web = *project.spec.find("web");
  EXPECT_EQ(web.kind, ServiceKind::container);
  EXPECT_EQ(web.image.raw, "nginx:1");
  EXPECT_EQ(web.image.at.line, 5u);
  EXPECT_EQ(raw(web.command.words), "echo|a b|$$HOME");  // what is left of a `$` is its own
  EXPECT_FALSE(web.command.shell);
  ASSERT_EQ(web.env.size(), 2u);
  EXPECT_EQ(web.env[1].second.raw, "5$$");
  EXPECT_EQ(web.env_unset, std::vector<std::string>{"GONE"});
  EXPECT_EQ(web.user.raw, "1000:1000");
  EXPECT_EQ(web.workdir.raw, "/srv");
  EXPECT_TRUE(web.tty && web.init);
  EXPECT_EQ(web.stop_signal, 2);
  EXPECT_EQ(web.stop_timeout, Milliseconds(90'000));
  EXPECT_EQ(web.restart.mode, RestartMode::on_failure);
  EXPECT_EQ(web.restart.max, 5);
  EXPECT_EQ(web.pull, PullPolicy::always);
  EXPECT_EQ(web.memory, 64u << 20);
  EXPECT_EQ(web.cpus, 1.5);
  EXPECT_EQ(web.pids, 50);
  EXPECT_EQ(raw(web.ports), "8080:80|127.0.0.1:9000:9000/udp|127.0.0.1:9001:9001/udp|3000");
  ASSERT_EQ(web.depends_on.size(), 2u);
  EXPECT_EQ(web.depends_on[0].condition, DependsCondition::healthy);
  EXPECT_EQ(web.depends_on[1].condition, DependsCondition::completed);
  EXPECT_EQ(web.health.kind, HealthSpec::Kind::exec);
  EXPECT_EQ(raw(web.health.command.words), "curl|$$X");
  EXPECT_EQ(web.health.interval, Milliseconds(10'000));
  EXPECT_EQ(web.health.retries, 5);
  EXPECT_FALSE(web.image_health.wanted);
  EXPECT_TRUE(project.spec.find("db")->image_health.wanted);
  EXPECT_EQ(raw(project.spec.find("job")->entrypoint.words), "run");
}

TEST(ComposeFront, HealthIsTheFilesTheImagesOrNone) {
  EXPECT_TRUE(a("healthcheck: {interval: 3s}").image_health.wanted);
  EXPECT_EQ(a("healthcheck: {interval: 3s}").image_health.interval, Milliseconds(3000));
  for (const char* none : {"healthcheck: {disable: true}", "healthcheck: {test: NONE}",
                           "healthcheck: {test: [NONE]}"}) {
    if (std::string(none) == "healthcheck: {test: NONE}") continue;  // a shell's command
    EXPECT_FALSE(a(none).image_health.wanted) << none;
    EXPECT_EQ(a(none).health.kind, HealthSpec::Kind::none) << none;
  }
  const ServiceSpec shell = a("healthcheck: {test: redis-cli ping | grep PONG}");
  EXPECT_TRUE(shell.health.command.shell);
  EXPECT_EQ(raw(shell.health.command.words), "redis-cli ping | grep PONG");
}

TEST(ComposeFront, AnEmptyEntryPointRunsTheCommandAlone) {
  const ServiceSpec spec = a("entrypoint: [], command: [sleep, \"1\"]");
  EXPECT_EQ(raw(spec.entrypoint.words), "sleep");
  EXPECT_EQ(raw(spec.command.words), "1");
  EXPECT_TRUE(contains(refused("entrypoint: []"), "`services.a.entrypoint` is empty"));
  EXPECT_TRUE(contains(refused("command: []"), "that does not clear the image's"));
}

TEST(ComposeFront, MountsWhatIsAProjectsOwn) {
  const ServiceSpec spec =
      a("volumes: [\"data:/d:ro\", \"./x:/x\", \"/anonymous\", {type: tmpfs, target: /t, tmpfs: "
        "{size: 1m}}], tmpfs: [\"/run:size=2m,mode=1777\", /tmp]");
  ASSERT_EQ(spec.volumes.size(), 3u);
  EXPECT_EQ(spec.volumes[0].source.raw, "data");
  EXPECT_TRUE(spec.volumes[0].read_only);
  EXPECT_EQ(spec.volumes[1].source.raw, "/p/x");
  EXPECT_TRUE(spec.volumes[2].source.empty());
  EXPECT_EQ(raw(spec.tmpfs), "/t:size=1048576|/run:size=2097152|/tmp");
  EXPECT_TRUE(contains(refused("tmpfs: [\"/run:uid=7\"]"), "no option uid=7"));
  EXPECT_TRUE(contains(refused("volumes: [\"/var/run/docker.sock:/s\"]"),
                       "`services.a.volumes` is not supported: "
                       "/var/run/docker.sock is the Docker daemon's"));
  EXPECT_TRUE(
      a("volumes: [\"/var/run/docker.sock:/s\"]", {.allowed = {"docker.sock"}}).volumes.empty());
  const LoadedProject external = read(
      "services: {a: {image: x, volumes: [\"v:/v\", \"v:/w\"]}, b: {image: x, volumes: "
      "[\"w:/w\"]}}\nvolumes: {v: {external: true}, w: {name: other}}\n");
  EXPECT_EQ(external.problems.size(), 2u) << describe(external.problems);
}

TEST(ComposeFront, SetsAContainerOffAsItSays) {
  const ServiceSpec spec =
      a("hostname: h1.example, read_only: true, shm_size: 128m, cap_add: [NET_ADMIN], cap_drop: "
        "[ALL], ulimits: {nofile: 1000, core: {soft: 0, hard: -1}}, security_opt: "
        "[\"no-new-privileges:true\"]");
  EXPECT_EQ(spec.hostname.raw, "h1.example");
  EXPECT_TRUE(spec.read_only);
  EXPECT_EQ(spec.shm_size, 128u << 20);
  EXPECT_EQ(raw(spec.cap_add) + raw(spec.cap_drop), "NET_ADMINALL");
  ASSERT_EQ(spec.ulimits.size(), 2u);
  EXPECT_EQ(spec.ulimits[0].hard, 1000);
  EXPECT_EQ(spec.ulimits[1].soft, 0);
  EXPECT_EQ(spec.ulimits[1].hard, -1);
  EXPECT_TRUE(contains(refused("security_opt: [\"seccomp:unconfined\"]"), "cannot be had"));
}

TEST(ComposeFront, SecretsAndConfigsAreFiles) {
  const LoadedProject project = read(R"(
services:
  a:
    image: x
    secrets: [token, {source: token, target: other, mode: 0400}, {source: env, target: /e}]
    configs: [conf, {source: conf, target: /etc/conf}]
secrets:
  token: {file: ./token.txt}
  env: {environment: TOKEN}
configs:
  conf: {file: ./conf}
)",
                                     {.allowed = {"secrets"}});
  EXPECT_EQ(describe(project.problems), "");
  std::string all;
  for (const VolumeSpec& volume : project.spec.services[0].volumes) {
    EXPECT_TRUE(volume.read_only);
    all += volume.source.raw + ">" + volume.target.raw + " ";
  }
  EXPECT_EQ(all,
            "/p/token.txt>/run/secrets/token /p/token.txt>/run/secrets/other /p/conf>/conf "
            "/p/conf>/etc/conf ");
  EXPECT_EQ(join(project.notices, "\n"),
            "left out, as --allow-unsupported says: services.a.secrets (compose.yaml:5)\n"
            "without effect here: `secrets.mode`: owner and mode are those of the file");
}

TEST(ComposeFront, NetworksAreTheProjects) {
  const LoadedProject project = read(R"(
services:
  web: {image: x, container_name: Front.1, networks: {edge: {aliases: [www.shop.test]}, back: }}
  db: {image: x, networks: {back: {ipv4_address: 10.9.0.7}}}
  other: {image: x, links: ["db:database"]}
  host: {image: x, network_mode: host, ports: ["1:1"]}
  lone: {image: x, network_mode: none}
  side: {image: x, network_mode: "service:web"}
networks:
  edge: {driver: bridge}
  back: {internal: true, ipam: {config: [{subnet: 10.9.0.0/24}]}}
)");
  EXPECT_EQ(describe(project.problems), "");
  const ServiceSpec& web = *project.spec.find("web");
  ASSERT_EQ(web.networks.size(), 2u);
  EXPECT_EQ(raw(web.networks[0].aliases), "www.shop.test|Front.1");
  EXPECT_EQ(raw(web.networks[1].aliases), "Front.1");
  const ServiceSpec& db = *project.spec.find("db");
  EXPECT_EQ(db.networks[0].address.raw, "10.9.0.7");
  EXPECT_EQ(raw(db.networks[0].aliases), "database");
  EXPECT_EQ(project.spec.find("other")->networks[0].network, "default");
  EXPECT_EQ(project.spec.find("other")->depends_on.size(), 1u);
  EXPECT_EQ(project.spec.find("host")->network.mode, NetworkUse::Mode::host);
  EXPECT_TRUE(project.spec.find("host")->ports.empty());
  EXPECT_EQ(project.spec.find("lone")->network.mode, NetworkUse::Mode::none);
  EXPECT_EQ(project.spec.find("side")->network.service, "web");
  ASSERT_EQ(project.spec.networks.size(), 2u);
  EXPECT_TRUE(project.spec.networks[0].internal);
  EXPECT_EQ(project.spec.networks[0].subnet.raw, "10.9.0.0/24");
}

TEST(ComposeFront, RefusesAllAtOnceAtTheirPlaces) {
  const std::string text = R"(services:
  a:
    image: x
    privileged: true
    devices: [/dev/kvm]
    pid: host
  b:
    image: x
    privileged: false
    build: .
)";
  const LoadedProject project = read(text);
  ASSERT_EQ(project.problems.size(), 4u) << describe(project.problems);
  EXPECT_EQ(describe({project.problems[0]}),
            "/p/compose.yaml:4:5: `services.a.privileged` is not supported: no container gets the "
            "rights of the host's root (remove it, or leave it out: locald up "
            "--allow-unsupported=privileged)");
  EXPECT_EQ(project.problems[3].at.line, 10u);
  const ComposeOptions three{.allowed = {"privileged", "devices", "build"}};
  EXPECT_EQ(read(text, three).problems.size(), 1u);
  EXPECT_TRUE(contains(said(text, {.allowed = {"privileged", "devices", "build", "pid"}}),
                       "left out, as --allow-unsupported says: services.a.privileged "
                       "(compose.yaml:4), services.a.devices (compose.yaml:5)"));
  EXPECT_TRUE(contains(describe(read(text, {.allowed = {"nonsense"}}).problems),
                       "\"nonsense\" is nothing that is refused"));
}

TEST(ComposeFront, TellsThePlacesOfEachFile) {
  const Files files{{{"/p/compose.yaml", "services:\n  a: {image: x}\n"},
                     {"/p/compose.override.yaml", "services:\n  a:\n    user: root\n"}}};
  const LoadedProject project = read(files);
  EXPECT_EQ(describe(project.problems), "");
  const Text& user = project.spec.services[0].user;
  EXPECT_EQ(project.spec.file_of(user.at), "/p/compose.override.yaml");
  EXPECT_EQ(user.at.line, 3u);
  EXPECT_EQ(project.spec.file_of(project.spec.services[0].image.at), "/p/compose.yaml");
}

TEST(ComposeFront, SaysWhatIsSoOtherwise) {
  EXPECT_TRUE(contains(said("services: {a: {image: x, ports: [\"8080:80\", \"127.0.0.1:1:1\"]}}"),
                       "published on this machine alone, unlike in Compose: 8080:80; for other "
                       "machines write \"0.0.0.0:8080:80\", or `locald up"));
  EXPECT_EQ(said("services: {a: {image: x, ports: [\"0.0.0.0:8080:80\"]}}"), "");
  const ComposeOptions everywhere{.publish_address = "0.0.0.0"};
  EXPECT_EQ(said("services: {a: {image: x, ports: [\"8080:80\"]}}", everywhere), "");
  EXPECT_EQ(raw(a("ports: [\"8080:80\", \"80\"]", everywhere).ports),
            "0.0.0.0:8080:80|0.0.0.0::80");
  EXPECT_EQ(said("services: {a: {image: x, labels: {b: c}}, b: {image: x, labels: [d], logging: "
                 "{driver: syslog}}}"),
            "without effect here: `labels` (2 times); `logging`: logs are kept for `locald logs`");
  EXPECT_TRUE(contains(said("services: {a: {image: \"x${NOT_SET}\"}}"),
                       "compose.yaml:1:23: the variable NOT_SET is not set"));
}

TEST(ComposeFront, ServicesAreCalledAsInCompose) {
  LoadedProject project = read("services: {Web.1_a: {image: x}, _b: {image: x}}");
  decide_networks(project.spec, NetworkUse::Mode::project);
  check_project(project.spec, project.problems);
  ASSERT_EQ(project.problems.size(), 1u) << describe(project.problems);
  EXPECT_TRUE(contains(project.problems[0].message, "\"_b\" cannot be the name of a service"));
}

TEST(ComposeFront, RefusesLimitsThatThisUserCannotSetAtTheirKeys) {
  const ComposeOptions rootless{.rights = {.limits = false}};
  const std::string text =
      "services:\n  a:\n    image: x\n    cpus: 1.5\n    mem_limit: 64m\n  b:\n    image: x\n    "
      "deploy:\n      resources:\n        limits:\n          pids: 10\n";
  const LoadedProject project = read(text, rootless);
  ASSERT_EQ(project.problems.size(), 3u) << describe(project.problems);
  EXPECT_EQ(describe({project.problems[1]}),
            "/p/compose.yaml:5:5: `services.a.mem_limit` is not supported: limits need a cgroup of "
            "their own, which rootless containers do not have (remove it, run locald as root, or "
            "leave it out: locald up --allow-unsupported=mem_limit)");
  EXPECT_EQ(project.problems[2].at.line, 11u);
  EXPECT_TRUE(contains(project.problems[2].message, "`services.b.deploy.resources.limits.pids`"));
  ComposeOptions without = rootless;
  without.allowed = {"mem_limit", "cpus", "pids_limit"};
  const LoadedProject left_out = read(text, without);
  EXPECT_EQ(describe(left_out.problems), "");
  EXPECT_EQ(left_out.spec.services[0].memory, 0u);
  EXPECT_TRUE(contains(join(left_out.notices, "\n"), "services.a.mem_limit (compose.yaml:5)"));
  // At the line of the key also where the value is the trouble.
  EXPECT_EQ(a("mem_limit: 64m").limits_at.memory.line, 1u);
}

TEST(ComposeFront, RefusesNumbersBelowNothingAndNamesOfNothing) {
  for (const char* bad :
       {"cpus: -1", "mem_limit: -1", "shm_size: -5", "pids_limit: -2", "stop_grace_period: -3s",
        "healthcheck: {retries: -1}", "healthcheck: {interval: -1s}",
        "deploy: {restart_policy: {max_attempts: -1}}"})
    EXPECT_TRUE(contains(refused(bad), "must not be below")) << bad << ": " << refused(bad);
  EXPECT_EQ(refused("pids_limit: -1"), "");
  for (const char* bad : {"environment: [\"=x\"]", "environment: {\"\": x}"})
    EXPECT_TRUE(contains(refused(bad), "a variable has no name")) << bad << ": " << refused(bad);
}

TEST(ComposeFront, AsksForNoMoreThanContainersHave) {
  EXPECT_EQ(refused("ipc: private, cgroup: private, userns_mode: host, security_opt: "
                    "[\"apparmor:unconfined\"], dns: [1.1.1.1]"),
            "");
  EXPECT_TRUE(contains(refused("ipc: host"), "`services.a.ipc` is not supported"));
  EXPECT_TRUE(contains(refused("cgroup: host"), "`services.a.cgroup` is not supported"));
}

TEST(ComposeFront, VariablesAreThoseOfTheCallerBeforeDotenv) {
  const Files files{
      {{"/p/compose.yaml", "services: {a: {image: \"x:${TAG}\"}}"}, {"/p/.env", "TAG=1"}}};
  EXPECT_EQ(read(files).spec.services[0].image.raw, "x:1");
  EXPECT_EQ(read(files, {.env = {{"TAG", "2"}}}).spec.services[0].image.raw, "x:2");
}

TEST(ComposeFront, ProfilesAreEnabledByNameAndByService) {
  const std::string text =
      "services: {a: {image: x}, b: {image: x, profiles: [dev]}, c: {image: x, profiles: [ci]}}";
  EXPECT_EQ(read(text).spec.services.size(), 1u);
  EXPECT_EQ(read(text, {.profiles = {"dev"}}).spec.services.size(), 2u);
  EXPECT_EQ(read(text, {.services = {"c"}}).spec.services.size(), 2u);
  EXPECT_EQ(read(text, {.env = {{"COMPOSE_PROFILES", "*"}}}).spec.services.size(), 3u);
}

void paths_of(const Shape& shape, const std::string& path, std::set<std::string>& out) {
  const KeyEffect* const effect = find_effect(path);
  if (!path.empty() && effect != nullptr) {
    out.insert(std::string(effect->path));
    if (effect->path == path) return;
  }
  const bool deeper = shape.key_count != 0 || shape.values != nullptr || shape.items != nullptr;
  if (!deeper) ADD_FAILURE() << path << " is not in the table";
  for (const Key& key : shape)
    paths_of(*key.shape, path.empty() ? std::string(key.name) : path + "." + std::string(key.name),
             out);
  if (shape.values != nullptr) paths_of(*shape.values, path + ".*", out);
  if (shape.items != nullptr && shape.items->key_count != 0) paths_of(*shape.items, path, out);
}

TEST(KeyEffects, SayOfEveryKeyOfTheSchemaWhatItDoes) {
  std::set<std::string> found;
  paths_of(kProjectShape, "", found);
  for (const KeyEffect& effect : key_effects())
    EXPECT_TRUE(found.contains(std::string(effect.path))) << effect.path << " is not in the schema";
  EXPECT_TRUE(can_be_allowed("privileged") && can_be_allowed("docker.sock"));
  EXPECT_FALSE(can_be_allowed("command"));
}

TEST(KeyEffects, ArePartOfTheirPage) {
  const std::string path = std::string(LOCALD_SOURCE_DIR) + "/docs/compose.md";
  const auto page = read_file(path);
  ASSERT_TRUE(page) << page.error().text();
  const std::string title = "## Every key\n\n";
  const std::size_t at = page->find(title);
  ASSERT_NE(at, std::string::npos);
  const std::string wanted = page->substr(0, at + title.size()) + effects_page();
  if (::getenv("LOCALD_RECORD") != nullptr) {
    ASSERT_TRUE(write_file_atomic(path, wanted, 0644));
    return;
  }
  EXPECT_TRUE(*page == wanted) << "docs/compose.md is not what the table says: LOCALD_RECORD=1 "
                                  "project_test --gtest_filter='KeyEffects.*' writes it";
}

}  // namespace
}  // namespace locald::project::compose
