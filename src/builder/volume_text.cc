#include "builder/volume_text.h"

#include "base/strings.h"
#include "base/units.h"
#include "builder/container_options.h"

namespace locald::builder {
namespace {

bool is_volume_name(std::string_view name) {
  if (name.empty() || name.size() > 63 || name[0] == '-' || name[0] == '_') return false;
  for (const char c : name)
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_') return false;
  return true;
}

Result<void> read_mount_option(std::string_view option, bool& read_only, std::string& notice) {
  struct Idle {
    std::string_view word, why;
  };
  static constexpr Idle kIdle[] = {
      {"z", "no SELinux labels are set"},
      {"Z", "no SELinux labels are set"},
      {"U", "owners are left as they are"},
      {"nocopy", "a new volume begins with what the image has there, a folder of the host never"},
      {"cached", "the folder is the host's own"},
      {"delegated", "the folder is the host's own"},
      {"consistent", "the folder is the host's own"},
  };
  if (option == "ro" || option == "rw") {
    read_only = option == "ro";
    return {};
  }
  for (const auto& [word, why] : kIdle)
    if (option == word) {
      notice = std::string(word) + " has no effect: " + std::string(why);
      return {};
    }
  return Error(Errc::invalid_input, "unknown option \"" + std::string(option) + "\"")
      .with_hint("ro and rw have an effect");
}

}  // namespace

Result<VolumeConfig> volume_of(const std::string& source, const std::string& target,
                               const std::string& dir, const std::function<std::string()>& home) {
  const auto bad = [](const std::string& why) { return Error(Errc::invalid_input, why); };
  VolumeConfig out;
  out.target = target;
  if (source.empty()) {
    out.kind = VolumeConfig::Kind::anonymous;
  } else if (source.starts_with("/") || source.starts_with(".") || source.starts_with("~")) {
    out.kind = VolumeConfig::Kind::bind;
    std::string path = source;
    if (source == "~" || source.starts_with("~/")) {
      path = home();
      if (path.empty())
        return bad("HOME is not set").with_hint("set HOME, or write the whole path");
      path += source.substr(1);
    } else if (source.starts_with("~")) {
      return bad("only your own ~ is known").with_hint("write the whole path");
    }
    if (!path.starts_with("/")) {
      if (dir.empty()) return bad("the path must be absolute");
      path = dir + "/" + path;
    }
    out.source = tidy_path(path);
  } else if (source == "tmpfs") {
    return bad("\"tmpfs\" is not the name of a volume")
        .with_hint(
            "a tmpfs is written tmpfs = [\"/path:size=64m\"] in the project file, --tmpfs "
            "/path:size=64m with container run");
  } else {
    if (!is_volume_name(source))
      return bad("\"" + source + "\" is neither a path (./" + source +
                 ") nor the name of a volume");
    out.source = source;
  }
  if (!out.target.starts_with("/") || out.target == "/")
    return bad("the place in the container must be an absolute path below /");
  for (const std::string& part : split(out.target, '/'))
    if (part == "..") return bad("the place in the container must not hold ..");
  return out;
}

Result<VolumeConfig> parse_volume(const std::string& text, const std::string& dir,
                                  const std::function<std::string()>& home,
                                  std::vector<std::string>& notices) {
  const auto read = [&]() -> Result<VolumeConfig> {
    const std::vector<std::string> parts = split(text, ':');
    if (parts.size() == 1) return volume_of("", parts[0], dir, home);
    if (parts.size() > 3 || (parts.size() == 3 && parts[2].starts_with('/')))
      return Error(Errc::invalid_input, "too many colons")
          .with_hint(
              "a path with a colon has a form of its own: { source = \"./a:b\", target = "
              "\"/path\", "
              "read_only = true }");
    VolumeConfig out = TRY(volume_of(parts[0], parts[1], dir, home));
    if (parts.size() == 2) return out;
    for (const std::string& option : split(parts[2], ',')) {
      std::string notice;
      TRY(read_mount_option(option, out.read_only, notice));
      if (!notice.empty()) notices.push_back("volume \"" + text + "\": " + notice);
    }
    return out;
  };
  return read()
      .context("volume \"" + text + "\"")
      .hint("write \"NAME:/path\", \"./folder:/path\" or \"./folder:/path:ro\"");
}

Result<VolumeConfig> parse_tmpfs(const std::string& text) {
  const std::size_t colon = text.find(':');
  VolumeConfig out;
  out.kind = VolumeConfig::Kind::tmpfs;
  out.target = text.substr(0, colon);
  if (colon != std::string::npos) out.options = text.substr(colon + 1);
  if (!out.target.starts_with("/") || out.target == "/")
    return Error(Errc::invalid_input,
                 "tmpfs \"" + text + "\": the place must be an absolute path below /");
  (void)TRY(tmpfs_bytes(out.options));
  return out;
}

Result<std::uint64_t> tmpfs_bytes(const std::string& options) {
  std::uint64_t bytes = 0;
  for (const std::string& option : split(options, ',')) {
    if (option.empty()) continue;
    if (!option.starts_with("size="))
      return Error(Errc::unsupported, "tmpfs option \"" + option + "\" is not supported yet")
          .with_hint("\"size=64m\" is");
    bytes = TRY(parse_size(trim(std::string_view(option).substr(5))).context("tmpfs"));
  }
  return bytes;
}

}  // namespace locald::builder
