#include "project/compose_front/key_effects.h"

#include <algorithm>

namespace locald::project::compose {
namespace {

constexpr Effect acts = Effect::acts, silent = Effect::silent, idle = Effect::idle,
                 refused = Effect::refused;

constexpr std::string_view kKernelsShares =
    "shares of the processor and of disks are the kernel's own";
constexpr std::string_view kKernelsOwn = "the container has the kernel's own setting";
constexpr std::string_view kNoDevices = "containers reach no devices of the host";
constexpr std::string_view kOwnSpaces = "containers have namespaces of their own";
constexpr std::string_view kNoHooks = "nothing runs beside the service's own command";
constexpr std::string_view kOwnNames = "names are answered by the project's network";

constexpr KeyEffect kEffects[] = {
    {"configs"},
    {"include"},
    {"models", silent},
    {"name"},
    {"networks.*.attachable", silent},
    {"networks.*.driver"},
    {"networks.*.driver_opts", idle, "networks have no options"},
    {"networks.*.enable_ipv4"},
    {"networks.*.enable_ipv6"},
    {"networks.*.external"},
    {"networks.*.internal"},
    {"networks.*.ipam.config.aux_addresses", silent},
    {"networks.*.ipam.config.gateway", idle, "the gateway has the first address of the subnet"},
    {"networks.*.ipam.config.ip_range", idle, "addresses are of the whole subnet"},
    {"networks.*.ipam.config.subnet"},
    {"networks.*.ipam.driver"},
    {"networks.*.ipam.options", idle, "addresses are chosen as networks need them"},
    {"networks.*.labels", idle, ""},
    {"networks.*.name", silent},
    {"secrets"},
    {"services.*.annotations", idle, ""},
    {"services.*.attach", idle, "`up` shows the logs of all services"},
    {"services.*.blkio_config", idle, kKernelsShares},
    {"services.*.build", refused, "no image is built from a Dockerfile"},
    {"services.*.cap_add"},
    {"services.*.cap_drop"},
    {"services.*.cgroup"},
    {"services.*.cgroup_parent", refused, "each container has a cgroup of its own"},
    {"services.*.command"},
    {"services.*.configs.gid"},
    {"services.*.configs.mode"},
    {"services.*.configs.source"},
    {"services.*.configs.target"},
    {"services.*.configs.uid"},
    {"services.*.container_name"},
    {"services.*.cpu_count", idle, kKernelsShares},
    {"services.*.cpu_percent", idle, kKernelsShares},
    {"services.*.cpu_period", idle, kKernelsShares},
    {"services.*.cpu_quota", refused, "the share of the processor is written as `cpus`"},
    {"services.*.cpu_rt_period", idle, kKernelsShares},
    {"services.*.cpu_rt_runtime", idle, kKernelsShares},
    {"services.*.cpu_shares", idle, kKernelsShares},
    {"services.*.cpus"},
    {"services.*.cpuset", refused, "containers run on all processors"},
    {"services.*.credential_spec", refused, "that is for Windows"},
    {"services.*.depends_on.*.condition"},
    {"services.*.depends_on.*.required"},
    {"services.*.depends_on.*.restart", idle, "a restart restarts the named services alone"},
    {"services.*.deploy.endpoint_mode", silent},
    {"services.*.deploy.labels", silent},
    {"services.*.deploy.mode"},
    {"services.*.deploy.placement", silent},
    {"services.*.deploy.replicas"},
    {"services.*.deploy.resources.limits.cpus"},
    {"services.*.deploy.resources.limits.memory"},
    {"services.*.deploy.resources.limits.pids"},
    {"services.*.deploy.resources.reservations.cpus", silent},
    {"services.*.deploy.resources.reservations.devices", refused, kNoDevices},
    {"services.*.deploy.resources.reservations.generic_resources", silent},
    {"services.*.deploy.resources.reservations.memory", idle, "no memory is set aside"},
    {"services.*.deploy.restart_policy.condition"},
    {"services.*.deploy.restart_policy.delay", idle, "the delay doubles, from 0.1 s to a minute"},
    {"services.*.deploy.restart_policy.max_attempts"},
    {"services.*.deploy.restart_policy.window"},
    {"services.*.deploy.rollback_config", silent},
    {"services.*.deploy.update_config", silent},
    {"services.*.develop", idle, "no files are watched"},
    {"services.*.device_cgroup_rules", refused, kNoDevices},
    {"services.*.devices", refused, kNoDevices},
    {"services.*.dns", idle, "other names are asked for where this machine asks for them"},
    {"services.*.dns_opt", idle, kOwnNames},
    {"services.*.dns_search", refused, kOwnNames},
    {"services.*.domainname", refused, "the host name has no domain"},
    {"services.*.entrypoint"},
    {"services.*.env_file"},
    {"services.*.environment"},
    {"services.*.expose", silent},
    {"services.*.extends"},
    {"services.*.external_links", refused, "other projects are not reached"},
    {"services.*.extra_hosts", refused, "the names in a container are those of its networks"},
    {"services.*.gpus", refused, kNoDevices},
    {"services.*.group_add", refused, "the groups are those that the image gives its user"},
    {"services.*.healthcheck.disable"},
    {"services.*.healthcheck.interval"},
    {"services.*.healthcheck.retries"},
    {"services.*.healthcheck.start_interval", silent},
    {"services.*.healthcheck.start_period"},
    {"services.*.healthcheck.test"},
    {"services.*.healthcheck.timeout"},
    {"services.*.hostname"},
    {"services.*.image"},
    {"services.*.init"},
    {"services.*.ipc"},
    {"services.*.isolation", refused, "that is for Windows"},
    {"services.*.label_file"},
    {"services.*.labels", idle, ""},
    {"services.*.links"},
    {"services.*.logging", idle, "logs are kept for `locald logs`"},
    {"services.*.mac_address", idle, "the kernel chooses it"},
    {"services.*.mem_limit"},
    {"services.*.mem_reservation", idle, "no memory is set aside"},
    {"services.*.mem_swappiness", idle, kKernelsOwn},
    {"services.*.memswap_limit", idle, "what `mem_limit` says is without swap"},
    {"services.*.models", refused, "there is no runner of models"},
    {"services.*.network_mode"},
    {"services.*.networks.*.aliases"},
    {"services.*.networks.*.driver_opts", idle, "networks have no options"},
    {"services.*.networks.*.gw_priority", idle, "the way out is the first network's"},
    {"services.*.networks.*.interface_name", idle, "links are called eth0, eth1…"},
    {"services.*.networks.*.ipv4_address"},
    {"services.*.networks.*.ipv6_address", refused, "IPv6 addresses are chosen for it"},
    {"services.*.networks.*.link_local_ips", refused, "a link has one address"},
    {"services.*.networks.*.mac_address", idle, "the kernel chooses it"},
    {"services.*.networks.*.priority", idle, "networks are joined in the order of the file"},
    {"services.*.oom_kill_disable", refused, kKernelsOwn},
    {"services.*.oom_score_adj", idle, kKernelsOwn},
    {"services.*.pid", refused, kOwnSpaces},
    {"services.*.pids_limit"},
    {"services.*.platform"},
    {"services.*.ports.app_protocol", silent},
    {"services.*.ports.host_ip"},
    {"services.*.ports.mode", silent},
    {"services.*.ports.name", silent},
    {"services.*.ports.protocol"},
    {"services.*.ports.published"},
    {"services.*.ports.target"},
    {"services.*.post_start", refused, kNoHooks},
    {"services.*.pre_start", refused, kNoHooks},
    {"services.*.pre_stop", refused, kNoHooks},
    {"services.*.privileged", refused, "no container gets the rights of the host's root"},
    {"services.*.profiles"},
    {"services.*.provider", refused, "no other programs are asked for services"},
    {"services.*.pull_policy"},
    {"services.*.pull_refresh_after", idle, "an image that is there is used"},
    {"services.*.read_only"},
    {"services.*.restart"},
    {"services.*.runtime", refused, "containers are run by runc"},
    {"services.*.scale"},
    {"services.*.secrets.gid"},
    {"services.*.secrets.mode"},
    {"services.*.secrets.source"},
    {"services.*.secrets.target"},
    {"services.*.secrets.uid"},
    {"services.*.security_opt"},
    {"services.*.shm_size"},
    {"services.*.stdin_open"},
    {"services.*.stop_grace_period"},
    {"services.*.stop_signal"},
    {"services.*.storage_opt", idle, "the container's folder has the disk's own limit"},
    {"services.*.sysctls", refused, kKernelsOwn},
    {"services.*.tmpfs"},
    {"services.*.tty"},
    {"services.*.ulimits"},
    {"services.*.use_api_socket", refused, "there is no Docker daemon"},
    {"services.*.user"},
    {"services.*.userns_mode"},
    {"services.*.uts", refused, kOwnSpaces},
    {"services.*.volumes.bind.create_host_path"},
    {"services.*.volumes.bind.propagation"},
    {"services.*.volumes.bind.recursive"},
    {"services.*.volumes.bind.selinux", silent},
    {"services.*.volumes.consistency", silent},
    {"services.*.volumes.image", refused, "images are not mounted into containers"},
    {"services.*.volumes.read_only"},
    {"services.*.volumes.source"},
    {"services.*.volumes.target"},
    {"services.*.volumes.tmpfs.mode"},
    {"services.*.volumes.tmpfs.size"},
    {"services.*.volumes.type"},
    {"services.*.volumes.volume.labels", idle, ""},
    {"services.*.volumes.volume.nocopy", idle, "a new volume begins with what the image has there"},
    {"services.*.volumes.volume.subpath", refused, "a volume is mounted as a whole"},
    {"services.*.volumes_from", refused, "name the volumes in each service"},
    {"services.*.working_dir"},
    {"version", silent},
    {"volumes.*.driver"},
    {"volumes.*.driver_opts", refused, "a volume is a folder, without options"},
    {"volumes.*.external"},
    {"volumes.*.labels", idle, ""},
    {"volumes.*.name"},
};
static_assert(std::is_sorted(std::begin(kEffects), std::end(kEffects),
                             [](const KeyEffect& a, const KeyEffect& b) {
                               return a.path < b.path;
                             }));

/// Of keys that act, for values that are refused.
constexpr std::string_view kValueWords[] = {
    kDockerSocket,  "cgroup",      "cluster",      "configs", "cpus",       "driver",
    "enable_ipv4",  "external",    "image",        "ipam",    "ipc",        "mem_limit",
    "mode",         "name",        "network_mode", "npipe",   "pids_limit", "platform",
    "propagation",  "pull_policy", "recursive",    "scale",   "sctp",       "secrets",
    "security_opt", "tmpfs",       "userns_mode"};

}  // namespace

std::span<const KeyEffect> key_effects() { return kEffects; }

const KeyEffect* find_effect(std::string_view path) {
  while (true) {
    const auto found = std::lower_bound(
        std::begin(kEffects), std::end(kEffects), path,
        [](const KeyEffect& effect, std::string_view wanted) { return effect.path < wanted; });
    if (found != std::end(kEffects) && found->path == path) return found;
    const std::size_t dot = path.rfind('.');
    if (dot == std::string_view::npos) return nullptr;
    path = path.substr(0, dot);
  }
}

bool can_be_allowed(std::string_view name) {
  if (std::find(std::begin(kValueWords), std::end(kValueWords), name) != std::end(kValueWords))
    return true;
  return std::any_of(std::begin(kEffects), std::end(kEffects), [&](const KeyEffect& effect) {
    return effect.effect == Effect::refused &&
           effect.path.substr(effect.path.rfind('.') + 1) == name;
  });
}

}  // namespace locald::project::compose
