// Ports, volumes, networks, dependencies and what else of a project goes together or does not.
#include <gtest/gtest.h>

#include "project/compose/published_ports.h"
#include "project/compose/testing.h"
#include "project/compose/volume_text.h"

namespace locald::project::compose {
namespace {

std::string ports(std::string_view text) {
  const auto all = parse_published_ports(text);
  if (!all) return all.error().message();
  std::string out;
  for (const PublishedPort& port : *all)
    out += (out.empty() ? "" : " ") + port.address + "|" + port.published + "|" +
           std::to_string(port.target) + "/" + port.protocol;
  return out;
}

TEST(ComposePorts, ShortForms) {
  EXPECT_EQ(ports("3000"), "||3000/tcp");
  EXPECT_EQ(ports("3000-3002"), "||3000/tcp ||3001/tcp ||3002/tcp");
  EXPECT_EQ(ports("9090-9091:8080-8081"), "|9090|8080/tcp |9091|8081/tcp");
  EXPECT_EQ(ports("8000-8005:80"), "|8000-8005|80/tcp");
  EXPECT_EQ(ports("127.0.0.1::80"), "127.0.0.1||80/tcp");
  EXPECT_EQ(ports("[::1]:8080:80"), "::1|8080|80/tcp");
  EXPECT_EQ(ports("6060:6060/UDP"), "|6060|6060/udp");
  EXPECT_EQ(ports(":80"), "||80/tcp");
  EXPECT_EQ(ports("99-100"), "||100/tcp ||99/tcp");
  for (const char* bad : {"", "70000", "a:80", "80:", "1-2:3-5", "80/xyz", "5-3", "::1:80:80",
                          "999.1.1.1:80:80", "1-3:80-81"})
    EXPECT_TRUE(contains(ports(bad), "invalid port")) << bad << ": " << ports(bad);
}

TEST(ComposePorts, LongForms) {
  EXPECT_EQ(member("ports: [{target: 80, published: 8080}, {target: \"81\", published: \"1-9\", "
                   "host_ip: 127.0.0.1, mode: host, name: n, app_protocol: http, protocol: udp}, "
                   "{target: 82}]",
                   "ports"),
            R"([{"mode":"ingress","target":80,"published":"8080","protocol":"tcp"},)"
            R"({"name":"n","mode":"host","host_ip":"127.0.0.1","target":81,"published":"1-9",)"
            R"("protocol":"udp","app_protocol":"http"},)"
            R"({"mode":"ingress","target":82,"protocol":"tcp"}])");
  EXPECT_TRUE(contains(wrong("ports: [{target: 80, host_ip: x}]"), "invalid address \"x\""));
  EXPECT_TRUE(contains(wrong("ports: [a:80]"),
                       "/p/compose.yaml:1:34: `services.a.ports[0]`: invalid port \"a:80\""));
}

TEST(ComposeVolumes, ShortForms) {
  const auto read = [](std::string_view text) {
    const auto v = parse_volume_text(text);
    if (!v) return v.error().message();
    return std::string(v->bind ? "bind " : "volume ") + v->source + "|" + v->target +
           (v->read_only ? "|ro" : "") + (v->nocopy ? "|nocopy" : "") +
           (v->selinux.empty() ? "" : "|" + v->selinux) +
           (v->propagation.empty() ? "" : "|" + v->propagation) +
           (v->unknown.empty() ? "" : "|?" + join(v->unknown, "+"));
  };
  EXPECT_EQ(read("./a:/b:ro"), "bind ./a|/b|ro");
  EXPECT_EQ(read("~/a:/b"), "bind ~/a|/b");
  EXPECT_EQ(read("/a:/b:rw,z,rslave"), "bind /a|/b|z|rslave");
  EXPECT_EQ(read("data:/b:nocopy"), "volume data|/b|nocopy");
  EXPECT_EQ(read("/b"), "volume |/b");
  EXPECT_EQ(read("a:/b:cached,x"), "volume a|/b|?cached+x");
  EXPECT_EQ(read("d:/d"), "volume d|/d");
  for (const char* bad : {"", ":/b", "a:", "a::ro", "a:/b:ro:x"})
    EXPECT_NE(read(bad).find(bad[0] == '\0' ? "must not be empty" : "invalid volume"),
              std::string::npos)
        << bad;
}

TEST(ComposeVolumes, PathsStartAtTheProjectsFolder) {
  EXPECT_EQ(member("volumes: [\"./a/../b:/d/\", \"~/c:/e\", \"/f/:/g\"]", "volumes"),
            R"([{"type":"bind","source":"/p/b","target":"/d","bind":{}},)"
            R"({"type":"bind","source":"/home/u/c","target":"/e","bind":{}},)"
            R"({"type":"bind","source":"/f/","target":"/g","bind":{}}])");
  EXPECT_EQ(member("volumes: [{type: bind, source: x, target: /t/, bind: {create_host_path: "
                   "false}}, {type: tmpfs, target: /u, tmpfs: {size: 1m}}]",
                   "volumes"),
            R"([{"type":"bind","source":"/p/x","target":"/t","bind":{"create_host_path":false}},)"
            R"({"type":"tmpfs","target":"/u","tmpfs":{"size":"1048576"}}])");
}

TEST(ComposeVolumes, NamedOnesAreDeclaredAndHaveTheProjectsName) {
  const Project project = load(
      "services: {a: {image: x, volumes: [\"d:/d\"]}}\n"
      "volumes: {d: , e: {name: own}, f: {external: true}, g: {external: {name: h}}}\n");
  EXPECT_EQ(at(project, "volumes/d"), R"({"name":"p_d"})");
  EXPECT_EQ(at(project, "volumes/e"), R"({"name":"own"})");
  EXPECT_EQ(at(project, "volumes/f"), R"({"name":"f","external":true})");
  EXPECT_EQ(at(project, "volumes/g"), R"({"name":"h","external":true})");
  EXPECT_TRUE(contains(notices(project), "\"d\" is the name of a volume, not a drive"));
  EXPECT_EQ(wrong("volumes: [\"data:/d\"]"),
            "/p/compose.yaml:1:36: `services.a` refers to \"data\", which is not in `volumes` (add "
            "`data` to `volumes`)");
  EXPECT_TRUE(contains(problems(load("services: {a: {image: x}}\n"
                                     "volumes: {d: {external: true, driver: local}}\n")),
                       "`volumes.d` is external, and must not have `driver`"));
}

TEST(ComposeVolumes, OfOneTargetTheLastCounts) {
  EXPECT_EQ(member("volumes: [\"./a:/d\", \"./b:/d\"]", "volumes"),
            R"([{"type":"bind","source":"/p/b","target":"/d","bind":{}}])");
  EXPECT_TRUE(
      contains(wrong("volumes: [\"./a:/d\"], tmpfs: /d:size=1m"), "mounts two things at /d"));
}

TEST(ComposeNetworks, TheDefaultOneIsThereWhereItIsUsed) {
  EXPECT_EQ(at(service("tty: true"), "networks"), R"({"default":{"name":"p_default","ipam":{}}})");
  const Project named = load("services: {a: {image: x, networks: [n]}}\nnetworks: {n: }\n");
  EXPECT_EQ(at(named, "networks"), R"({"n":{"name":"p_n","ipam":{}}})");
  EXPECT_EQ(at(named, "services/a/networks"), R"({"n":null})");
  EXPECT_EQ(at(service("network_mode: none"), "networks"), "null");
  EXPECT_TRUE(
      contains(wrong("networks: [nope]"), "refers to \"nope\", which is not in `networks`"));
  EXPECT_TRUE(contains(problems(load("services: {a: {image: x, network_mode: host, networks: "
                                     "[n]}}\nnetworks: {n: }\n")),
                       "has `network_mode` and `networks`"));
}

TEST(ComposeDependencies, Forms) {
  const std::string b = "}, b: {image: x";
  EXPECT_EQ(at(service("depends_on: [b]" + b), "services/a/depends_on"),
            R"({"b":{"required":true,"condition":"service_started"}})");
  EXPECT_EQ(at(service("depends_on: {b: {condition: service_healthy, restart: true, required: "
                       "false}}" +
                       b),
               "services/a/depends_on"),
            R"({"b":{"restart":true,"required":false,"condition":"service_healthy"}})");
  EXPECT_TRUE(contains(problems(service("depends_on: {b: {condition: healthy}}" + b)),
                       "must be one of service_started"));
  EXPECT_TRUE(contains(wrong("depends_on: [c]"), "refers to \"c\", which is not in `services`"));
  // `required: false` excuses a profile that is off, and nothing else.
  EXPECT_TRUE(contains(wrong("depends_on: {c: {condition: service_started, required: false}}"),
                       "refers to \"c\", which is not in `services`"));
}

TEST(ComposeDependencies, AreImpliedByLinksAndSharedNamespaces) {
  const std::string b = "}, b: {image: x";
  const std::string implied =
      R"({"b":{"restart":true,"required":true,"condition":"service_started"}})";
  EXPECT_EQ(at(service("links: [\"b:db\"]" + b), "services/a/depends_on"), implied);
  EXPECT_EQ(at(service("network_mode: service:b" + b), "services/a/depends_on"), implied);
  EXPECT_EQ(at(service("ipc: service:b" + b), "services/a/depends_on"), implied);
  EXPECT_EQ(at(service("volumes_from: [\"b:ro\"]" + b), "services/a/depends_on"),
            R"({"b":{"required":true,"condition":"service_started"}})");
  EXPECT_TRUE(contains(wrong("network_mode: service:c"), "names the service \"c\""));
}

TEST(ComposeDependencies, ACycleIsToldWithItsChain) {
  EXPECT_TRUE(contains(
      problems(load("services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [c]}, "
                    "c: {image: x, links: [a]}}")),
      "services depend on each other: a → b → c → a"));
  EXPECT_TRUE(contains(wrong("depends_on: [a]"), "a → a"));
}

TEST(ComposeProfiles, EnableServices) {
  const std::string text =
      "services: {a: {image: x}, b: {image: x, profiles: [dev, test]}, "
      "c: {image: x, profiles: [c], depends_on: [b]}}";
  const auto names = [](const Project& project) {
    std::string out = problems(project);
    for (const auto& [name, value] : project.model["services"].as_table()) out += name;
    return out;
  };
  EXPECT_EQ(names(load(text)), "a");
  Request request = request_of();
  request.profiles = {"dev"};
  EXPECT_EQ(names(load(text, request)), "ab");
  request.profiles = {"*"};
  EXPECT_EQ(names(load(text, request)), "abc");
  request.profiles.clear();
  request.shell = {{"COMPOSE_PROFILES", " test , c"}};
  EXPECT_EQ(names(load(text, request)), "abc");
  // Naming a service enables its profiles, and not those of what it needs.
  request.shell.clear();
  request.services = {"c"};
  EXPECT_TRUE(contains(names(load(text, request)),
                       "`services.c` needs the service \"b\", which no profile enables (enable the "
                       "profile dev or test"));
  request.services = {"b"};
  EXPECT_EQ(names(load(text, request)), "ab");
}

TEST(ComposeChecks, NamesAndNumbersThatExcludeEachOther) {
  EXPECT_TRUE(contains(wrong("container_name: cc, scale: 2"), "has a `container_name`, and more"));
  EXPECT_TRUE(contains(wrong("container_name: c"), "invalid name \"c\""));
  EXPECT_EQ(wrong("container_name: cc"), "");
  EXPECT_TRUE(contains(wrong("scale: 2, deploy: {replicas: 3}"),
                       "`services.a.scale` and the `replicas` of "
                       "`deploy` differ"));
  EXPECT_TRUE(contains(wrong("mem_limit: 1m, deploy: {resources: {limits: {memory: 2m}}}"),
                       "`services.a.mem_limit` and `deploy.resources.limits.memory` differ"));
  EXPECT_EQ(wrong("mem_limit: 1m, deploy: {resources: {limits: {memory: 1024k}}}"), "");
  EXPECT_TRUE(contains(problems(load("services: {\"a b\": {image: x}}")), "invalid name \"a b\""));
  EXPECT_EQ(problems(load("services: {A.b_c-1: {image: x}}")), "");
  EXPECT_TRUE(contains(problems(load("services: {a: {user: x}}")), "neither `image` nor `build`"));
}

TEST(ComposeChecks, SecretsAndConfigs) {
  Request request = request_of();
  request.shell = {{"S", "top"}, {"C", "text"}};
  const Project project = load(
      "services: {a: {image: x, secrets: [s, {source: t, target: /t, mode: 0440}], "
      "configs: [c]}}\n"
      "secrets: {s: {environment: S}, t: {file: ./t}}\n"
      "configs: {c: {content: \"$C\"}, d: {environment: C}}\n",
      request);
  EXPECT_EQ(at(project, "services/a/secrets"), R"([{"source":"s","target":"/run/secrets/s"},)"
                                               R"({"source":"t","target":"/t","mode":"0440"}])");
  EXPECT_EQ(at(project, "services/a/configs"), R"([{"source":"c"}])");
  EXPECT_EQ(at(project, "secrets"),
            R"({"s":{"name":"p_s","environment":"S"},"t":{"name":"p_t","file":"/p/t"}})");
  EXPECT_EQ(at(project, "configs/c"), R"({"name":"p_c","content":"text"})");
  EXPECT_EQ(at(project, "configs/d"), R"({"name":"p_d","environment":"C"})");
  EXPECT_EQ(project.model["secrets"]["s"][kContentKey].as_string(), "top");
  EXPECT_TRUE(contains(wrong("secrets: [s]"), "refers to \"s\", which is not in `secrets`"));
  EXPECT_TRUE(contains(problems(load("services: {a: {image: x}}\nsecrets: {s: {}}\n")),
                       "`secrets.s` needs one of file, environment"));
  EXPECT_TRUE(contains(problems(load("services: {a: {image: x, secrets: [{source: s, mode: "
                                     "\"0o440\"}]}}\nsecrets: {s: {file: s}}\n")),
                       "must be an octal number like 0440"));
}

}  // namespace
}  // namespace locald::project::compose
