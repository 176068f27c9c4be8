// What a compose file has mounted into containers.
#include <fmt/format.h>

#include "base/strings.h"
#include "project/compose/quantities.h"
#include "project/compose_front/front.h"
#include "project/compose_front/key_effects.h"

namespace locald::project::compose {
namespace {

bool is_docker_socket(const std::string& path) {
  return path == "/var/run/docker.sock" || path == "/run/docker.sock";
}

class Mounts {
 public:
  Mounts(Front& front, const Node& service, ServiceSpec& out)
      : front_(front), out_(out), path_(fmt::format("services.{}", out.name)) {
    for (const Node& volume : service["volumes"].as_array()) one(volume);
    for (const Node& tmpfs : service["tmpfs"].as_array()) tmpfs_text(tmpfs);
    for (const Node& secret : service["secrets"].as_array())
      file("secrets", secret, "/run/secrets/");
    for (const Node& config : service["configs"].as_array()) file("configs", config, "/");
  }

 private:
  void one(const Node& volume) {
    const std::string& type = volume["type"].as_string();
    if (type == "tmpfs") return tmpfs(volume);
    if (type == "bind") return bind(volume);
    if (type != "volume") {
      (void)front_.refuse(volume["type"], path_ + ".volumes", type,
                          "bind, volume and tmpfs are the types that are mounted");
      return;
    }
    add(volume);
  }

  void add(const Node& volume) {
    VolumeSpec spec;
    spec.at = front_.at(volume);
    if (const Node& source = volume["source"]; !source.as_string().empty()) {
      if (!named(volume, source.as_string())) return;
      spec.source = front_.text(source);
    }
    spec.target = front_.text(volume["target"]);
    spec.read_only = volume["read_only"].as_bool();
    spec.create = volume["bind"]["create_host_path"].as_bool();
    out_.volumes.push_back(std::move(spec));
  }

  /// A volume of the project's, not one of the machine's or of a driver.
  bool named(const Node& at, const std::string& key) {
    if (at["type"].as_string() == "bind") return true;
    const Node& volume = front_.model["volumes"][key];
    const std::string path = member_path("volumes", key);
    if (volume["external"].as_bool())
      return front_.refuse(volume["external"], path + ".external", "external",
                           "a volume is one project's alone");
    if (const std::string& driver = volume["driver"].as_string();
        !driver.empty() && driver != "local")
      return front_.refuse(volume["driver"], path + ".driver", "driver",
                           fmt::format("volumes are folders, without a driver {}", driver));
    if (volume["name"].as_string() != fmt::format("{}_{}", front_.spec.name, key))
      return front_.refuse(volume["name"], path + ".name", "name",
                           "a volume is one project's alone, and is called as its key");
    return true;
  }

  void bind(const Node& volume) {
    const std::string& source = volume["source"].as_string();
    if (is_docker_socket(source)) {
      (void)front_.refuse(volume, path_ + ".volumes", kDockerSocket,
                          fmt::format("{} is the Docker daemon's, and there is none", source));
      return;
    }
    const Node& options = volume["bind"];
    if (const std::string& way = options["propagation"].as_string();
        !way.empty() && way != "rprivate" && way != "private")
      (void)front_.refuse(options["propagation"], path_ + ".volumes.bind.propagation",
                          "propagation", "mounts of a container are its own");
    if (const std::string& how = options["recursive"].as_string();
        !how.empty() && how != "enabled" && how != "writable")
      (void)front_.refuse(options["recursive"], path_ + ".volumes.bind.recursive", "recursive",
                          "a folder is mounted with all that is mounted below it");
    add(volume);
  }

  /// A secret or config, which is a file of the host's.
  void file(const char* section, const Node& use, const std::string& folder) {
    const std::string& name = use["source"].as_string();
    const Node& source = front_.model[section][name]["file"];
    if (source.as_string().empty()) {
      (void)front_.refuse(
          use, member_path(path_, section), section, fmt::format("{} is not a `file`", name),
          "write its value into a file, and `file:` into `" + member_path(section, name) + "`");
      return;
    }
    for (const char* key : {"uid", "gid", "mode"})
      if (says_something(use[key]))
        front_.idle(fmt::format("{}.{}", section, key), "owner and mode are those of the file");
    const std::string& target = use["target"].as_string();
    VolumeSpec spec;
    spec.at = front_.at(use);
    spec.source = front_.text(source);
    spec.target = front_.text(
        target.starts_with('/') ? target : folder + (target.empty() ? name : target), use);
    spec.read_only = true;
    out_.volumes.push_back(std::move(spec));
  }

  void tmpfs(const Node& volume) {
    const Node& options = volume["tmpfs"];
    if (says_something(options["mode"]) && options["mode"].as_int() != 01777)
      (void)front_.refuse(options["mode"], path_ + ".volumes.tmpfs.mode", "mode",
                          "everybody may write to a tmpfs");
    std::string text = volume["target"].as_string();
    if (says_something(options["size"])) text += ":size=" + scalar_text(options["size"]);
    out_.tmpfs.push_back(front_.text(text, volume));
  }

  /// "/run:size=64m,mode=1777".
  void tmpfs_text(const Node& tmpfs) {
    const std::string& text = tmpfs.as_string();
    const std::size_t colon = text.find(':');
    std::string kept = text.substr(0, colon);
    if (colon != std::string::npos)
      for (const std::string& option : split(std::string_view(text).substr(colon + 1), ','))
        if (!tmpfs_option(tmpfs, option, kept)) return;
    out_.tmpfs.push_back(front_.text(kept, tmpfs));
  }

  bool tmpfs_option(const Node& at, const std::string& option, std::string& kept) {
    if (option.starts_with("size=")) {
      const auto bytes = parse_bytes(std::string_view(option).substr(5));
      if (bytes && *bytes >= 0)
        kept += fmt::format(":size={}", *bytes);
      else
        front_.report.problem(at, fmt::format("`{}.tmpfs`: invalid size in \"{}\"", path_, option),
                              "size=64m");
      return bool(bytes);
    }
    if (option.empty() || option == "rw" || option == "nosuid" || option == "nodev" ||
        option == "exec" || option == "mode=1777" || option == "mode=01777")
      return true;
    return front_.refuse(at, path_ + ".tmpfs", "tmpfs",
                         fmt::format("a tmpfs has no option {}: size is known", option));
  }

  Front& front_;
  ServiceSpec& out_;
  std::string path_;
};

}  // namespace

void read_volumes(Front& front, const Node& service, ServiceSpec& out) {
  Mounts(front, service, out);
}

}  // namespace locald::project::compose
