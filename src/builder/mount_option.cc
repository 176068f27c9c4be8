#include "builder/mount_option.h"

#include "base/strings.h"

namespace locald::builder {

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

std::vector<std::string> mount_option_notices(const std::string& volume) {
  std::vector<std::string> notices;
  const std::vector<std::string> parts = split(volume, ':');
  if (parts.size() != 3) return notices;
  for (const std::string& option : split(parts[2], ',')) {
    bool read_only = false;
    std::string notice;
    if (read_mount_option(option, read_only, notice) && !notice.empty())
      notices.push_back("volume \"" + volume + "\": " + notice);
  }
  return notices;
}

}  // namespace locald::builder
