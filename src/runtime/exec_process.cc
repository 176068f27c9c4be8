#include "runtime/exec_process.h"

#include <sys/stat.h>

#include <fcntl.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "runtime/container_init.h"
#include "runtime/process_runtime_impl.h"
#include "runtime/processes.h"
#include "runtime/shim_launch.h"

namespace locald::runtime {
namespace {

constexpr std::size_t kMaxDatabase = 4u << 20;

std::string read_beneath(int root, const std::string& path) {
  auto fd = open_in_root(root, path, O_RDONLY);
  if (!fd) return "";
  auto text = read_all(fd->get(), kMaxDatabase);
  return text ? std::move(*text) : std::string();
}

bool all_digits(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

Result<std::uint32_t> number(const std::string& text) {
  const auto value = parse_u64(text);
  if (!value || *value > std::numeric_limits<std::uint32_t>::max() - 1)
    return Error(Errc::invalid_input, "user " + text + ": not an id of 32 bits");
  return static_cast<std::uint32_t>(*value);
}

/// "0 1000 1": the map of /proc/PID/uid_map has one id.
bool is_single_id(const std::string& map) {
  std::vector<std::string> words = split(map, ' ');
  std::erase_if(words, [](const std::string& word) { return trim(word).empty(); });
  return words.size() == 3 && trim(words[2]) == "1";
}

/// The user of `process` in a container with a single id: 0 as it is, others by the helper, if the
/// container has it. True if that stands in front of the command now.
Result<bool> nest(const ExecTarget& target, bool user_asked, oci::spec::Process& process) {
  std::optional<ContainerInit> init = ContainerInit::of(target.config);
  if (!init) init.emplace();
  const bool helped = init->map.has_value();
  init->exec = true;
  if (user_asked) {
    oci::spec::User& user = process.user;
    user.additional_gids.clear();  // setgroups(2) is denied under such a map
    if (user.uid == 0 && user.gid == 0) {
      init->map.reset();
      if (helped) process.capabilities.emplace();
    } else if (helped) {
      init->map = ContainerInit::Ids{user.uid, user.gid};
      user.uid = user.gid = 0;
    } else {
      return Error(Errc::unsupported,
                   "user " + std::to_string(user.uid) + ":" + std::to_string(user.gid) +
                       ": only id 0 exists in this container: you have no subordinate ids")
          .with_hint(
              "`locald doctor` gives the command that adds them; or give the service a `user` "
              "other than 0: its container then has others too");
    }
  }
  if (!init->map && !init->seal) return false;
  const std::vector<std::string> words = init->words();
  process.args.insert(process.args.begin(), words.begin(), words.end());
  return true;
}

/// The first line of a passwd or group file whose field `field` is `value`.
std::optional<std::vector<std::string>> find_line(const std::string& text, std::size_t field,
                                                  const std::string& value) {
  for (const std::string& line : split(text, '\n')) {
    auto fields = split(trim(line), ':');  // a file with CR LF is read as the start reads it
    if (fields.size() >= 4 && fields[field] == value) return fields;
  }
  return std::nullopt;
}

}  // namespace

Result<oci::spec::User> parse_user(const std::string& user, const std::string& passwd,
                                   const std::string& group) {
  const std::size_t colon = user.find(':');
  const std::string who = user.substr(0, colon);
  const std::string what = colon == std::string::npos ? "" : user.substr(colon + 1);
  oci::spec::User result;
  std::string name;
  if (all_digits(who)) {
    result.uid = TRY(number(who));
    if (const auto line = find_line(passwd, 2, who)) {
      name = (*line)[0];
      if (all_digits((*line)[3])) result.gid = TRY(number((*line)[3]));
    }
  } else {
    const auto line = find_line(passwd, 0, who);
    if (!line || !all_digits((*line)[2]) || !all_digits((*line)[3]))
      return Error(Errc::not_found, "no user " + who + " in the container's /etc/passwd")
          .with_hint("a number works always: -u 1000");
    name = who;
    result.uid = TRY(number((*line)[2]));
    result.gid = TRY(number((*line)[3]));
  }
  if (!what.empty()) {
    if (all_digits(what)) {
      result.gid = TRY(number(what));
    } else {
      const auto line = find_line(group, 0, what);
      if (!line || !all_digits((*line)[2]))
        return Error(Errc::not_found, "no group " + what + " in the container's /etc/group");
      result.gid = TRY(number((*line)[2]));
    }
  } else if (!name.empty()) {
    for (const std::string& line : split(group, '\n')) {
      const auto fields = split(trim(line), ':');
      if (fields.size() < 4 || !all_digits(fields[2])) continue;
      const auto members = split(fields[3], ',');
      if (std::find(members.begin(), members.end(), name) != members.end())
        result.additional_gids.push_back(TRY(number(fields[2])));
    }
  }
  result.additional_gids.push_back(result.gid);  // always, so that a drop of groups leaves it
  std::sort(result.additional_gids.begin(), result.additional_gids.end());
  result.additional_gids.erase(
      std::unique(result.additional_gids.begin(), result.additional_gids.end()),
      result.additional_gids.end());
  return result;
}

Result<ExecProcess> exec_process(const ExecTarget& target, const ExecSpec& command) {
  if (command.argv.empty() || command.argv[0].empty())
    return Error(Errc::invalid_input, "no command");
  if (!target.config.process)
    return Error(Errc::corrupt, target.id + ": its config.json says no process");
  ExecProcess made{.process = *target.config.process};
  oci::spec::Process& process = made.process;
  process.args = command.argv;
  for (const std::string& pair : command.env) {
    const std::string name = pair.substr(0, pair.find('=') + 1);
    std::erase_if(process.env, [&](const std::string& old) {
      return !name.empty() && old.compare(0, name.size(), name) == 0;
    });
    process.env.push_back(pair);
  }
  if (!command.cwd.empty()) process.cwd = command.cwd;
  if (process.cwd.empty() || process.cwd.front() != '/')
    return Error(Errc::invalid_input, process.cwd + ": not an absolute path");
  if (!command.user.empty()) {
    const UniqueFd root =
        TRY(sys::open("/proc/" + std::to_string(target.pid) + "/root", O_PATH | O_DIRECTORY)
                .context("the container's root"));
    process.user = TRY(parse_user(command.user, read_beneath(root.get(), "etc/passwd"),
                                  read_beneath(root.get(), "etc/group")));
  }
  if (target.single_id) made.init = TRY(nest(target, !command.user.empty(), process));
  return made;
}

namespace {

bool in_other_network(int pid) {
  struct stat theirs {
  }, own{};
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/net";
  return ::stat(path.c_str(), &theirs) == 0 && ::stat("/proc/self/ns/net", &own) == 0 &&
         theirs.st_ino != own.st_ino;
}

/// A container lives on without its bundle, which has what a command in it needs.
Error run_folder_deleted(const std::string& name) {
  return Error(Errc::corrupt, name + ": its run folder was deleted: no command can be run in it")
      .with_hint("restart the service: locald restart SERVICE");
}

}  // namespace

Result<ExecTarget> ProcessRuntime::Impl::exec_target(const std::string& id) const {
  const std::string folder = options.paths.instance(id);
  const auto absent = [](const auto& r) { return !r && r.error().code() == Errc::not_found; };
  auto record = read_instance(folder);
  const bool deleted = absent(record);
  if (!record) record = read_kept(options.paths, id);
  if (!record && !absent(record)) return std::move(record).error();
  if (!record || record->kind != "container")
    return Error(Errc::not_found, folder + ": no container runs there: it has ended")
        .with_hint("restart the service: locald restart SERVICE");
  auto target = exec_target(*record);
  if (target) return target;
  // Each step may be the one that comes too late: also what the bundle says is gone by then.
  if (absent(open_process(record->shim_pid, record->shim_start)))
    return Error(Errc::not_found, record->name + " has ended");
  if (deleted) return run_folder_deleted(record->name);
  return target;
}

Result<ExecTarget> ProcessRuntime::Impl::exec_target(const InstanceRecord& record) const {
  const std::string& id = record.id;
  auto handle = TRY(connect_shim(record));
  if (handle->pid() == 0) return Error(Errc::not_found, record.name + " is not running yet");
  ExecTarget target;
  target.id = id;
  target.name = record.name;
  target.pid = handle->pid();
  target.shim_pidfd = TRY(sys::pidfd_open(record.shim_pid));
  target.in_user_namespace = TRY(options.user_namespace()) >= 0;
  target.own_network = in_other_network(record.shim_pid);
  if (target.in_user_namespace)
    target.single_id =
        is_single_id(TRY(read_file("/proc/" + std::to_string(record.shim_pid) + "/uid_map")));
  auto config = read_file(options.paths.bundle(id) + "/config.json");
  if (!config && config.error().code() == Errc::not_found) return run_folder_deleted(record.name);
  auto spec = oci::RuntimeSpec::parse(TRY(std::move(config)));
  if (!spec)
    return Error(Errc::corrupt, record.name + ": " + options.paths.bundle(id) +
                                    "/config.json is damaged (" + spec.error().message() + ")")
        .with_hint("restart the service: locald restart SERVICE");
  target.config = std::move(*spec);
  return target;
}

}  // namespace locald::runtime
