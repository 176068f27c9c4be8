#include "builder/capabilities.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/strings.h"

namespace locald::builder {
namespace {

/// By number (linux/capability.h).
constexpr std::array<std::string_view, 41> kAll = {"CAP_CHOWN",
                                                   "CAP_DAC_OVERRIDE",
                                                   "CAP_DAC_READ_SEARCH",
                                                   "CAP_FOWNER",
                                                   "CAP_FSETID",
                                                   "CAP_KILL",
                                                   "CAP_SETGID",
                                                   "CAP_SETUID",
                                                   "CAP_SETPCAP",
                                                   "CAP_LINUX_IMMUTABLE",
                                                   "CAP_NET_BIND_SERVICE",
                                                   "CAP_NET_BROADCAST",
                                                   "CAP_NET_ADMIN",
                                                   "CAP_NET_RAW",
                                                   "CAP_IPC_LOCK",
                                                   "CAP_IPC_OWNER",
                                                   "CAP_SYS_MODULE",
                                                   "CAP_SYS_RAWIO",
                                                   "CAP_SYS_CHROOT",
                                                   "CAP_SYS_PTRACE",
                                                   "CAP_SYS_PACCT",
                                                   "CAP_SYS_ADMIN",
                                                   "CAP_SYS_BOOT",
                                                   "CAP_SYS_NICE",
                                                   "CAP_SYS_RESOURCE",
                                                   "CAP_SYS_TIME",
                                                   "CAP_SYS_TTY_CONFIG",
                                                   "CAP_MKNOD",
                                                   "CAP_LEASE",
                                                   "CAP_AUDIT_WRITE",
                                                   "CAP_AUDIT_CONTROL",
                                                   "CAP_SETFCAP",
                                                   "CAP_MAC_OVERRIDE",
                                                   "CAP_MAC_ADMIN",
                                                   "CAP_SYSLOG",
                                                   "CAP_WAKE_ALARM",
                                                   "CAP_BLOCK_SUSPEND",
                                                   "CAP_AUDIT_READ",
                                                   "CAP_PERFMON",
                                                   "CAP_BPF",
                                                   "CAP_CHECKPOINT_RESTORE"};

/// Docker's. As root the device cgroup keeps what MKNOD makes from being opened; elsewhere the
/// kernel refuses to make it.
constexpr std::array<std::string_view, 14> kDefault = {
    "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",    "CAP_FSETID",
    "CAP_KILL",        "CAP_MKNOD",   "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",   "CAP_SETFCAP",
    "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT"};

/// The names that `asked` means.
Result<std::vector<std::string_view>> resolve(const std::vector<std::string>& asked) {
  std::vector<std::string_view> names;
  for (const std::string& word : asked) {
    std::string name;
    for (const char c : word) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (name == "ALL") {
      names.insert(names.end(), kAll.begin(), kAll.end());
      continue;
    }
    if (!name.starts_with("CAP_")) name.insert(0, "CAP_");
    const auto found = std::find(kAll.begin(), kAll.end(), name);
    if (found == kAll.end()) {
      const auto near = did_you_mean(name, {kAll.begin(), kAll.end()});
      Error error(Errc::invalid_input, "unknown capability \"" + word + "\"");
      if (near) return std::move(error).with_hint("did you mean \"" + near->substr(4) + "\"?");
      return error;
    }
    names.push_back(*found);
  }
  return names;
}

}  // namespace

Result<oci::spec::Capabilities> container_capabilities(const std::vector<std::string>& add,
                                                       const std::vector<std::string>& drop,
                                                       std::uint32_t uid) {
  const std::vector<std::string_view> more = TRY(resolve(add)), less = TRY(resolve(drop));
  const auto in = [](const auto& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  oci::spec::Capabilities caps;
  for (const std::string_view name : kAll)
    if (in(more, name) || (in(kDefault, name) && !in(less, name))) caps.bounding.emplace_back(name);
  if (uid == 0) caps.effective = caps.permitted = caps.bounding;
  return caps;
}

}  // namespace locald::builder
