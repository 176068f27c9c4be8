#include "oci/spec/runtime_spec.h"

#include <utility>

#include "oci/spec/spec_json.h"

namespace locald::oci {
namespace spec {
namespace {

Json write_mount(const Mount& m) {
  Writer w;
  w.must("destination", m.destination);
  w.add("type", m.type);
  w.add("source", m.source);
  w.add("options", m.options);
  return std::move(w).done(m.other);
}
Result<Mount> read_mount(Reader r) {
  Mount m;
  TRY(r.read("destination", m.destination));
  if (m.destination.empty()) return r.wrong("destination", "missing");
  TRY(r.read("type", m.type));
  TRY(r.read("source", m.source));
  TRY(r.read("options", m.options));
  m.other = r.rest();
  return m;
}

Json write_root(const Root& x) {
  Writer w;
  w.must("path", x.path);
  w.add("readonly", x.readonly);
  return std::move(w).done(x.other);
}
Result<Root> read_root(Reader r) {
  Root x;
  TRY(r.read("path", x.path));
  TRY(r.read("readonly", x.readonly));
  x.other = r.rest();
  return x;
}

Json write_rlimit(const Rlimit& l) {
  return Json::object({{"type", l.type}, {"hard", l.hard}, {"soft", l.soft}});
}
Result<Rlimit> read_rlimit(Reader r) {
  Rlimit l;
  TRY(r.read("type", l.type));
  TRY(r.read("hard", l.hard));
  TRY(r.read("soft", l.soft));
  TRY(r.end());
  return l;
}

Json write_capabilities(const Capabilities& c) {
  Writer w;
  w.add("bounding", c.bounding);
  w.add("effective", c.effective);
  w.add("inheritable", c.inheritable);
  w.add("permitted", c.permitted);
  w.add("ambient", c.ambient);
  return std::move(w).done();
}
Result<Capabilities> read_capabilities(Reader r) {
  Capabilities c;
  TRY(r.read("bounding", c.bounding));
  TRY(r.read("effective", c.effective));
  TRY(r.read("inheritable", c.inheritable));
  TRY(r.read("permitted", c.permitted));
  TRY(r.read("ambient", c.ambient));
  TRY(r.end());
  return c;
}

Json write_user(const User& u) {
  Writer w;
  w.must("uid", u.uid);
  w.must("gid", u.gid);
  w.add("umask", u.umask);
  w.add("additionalGids", u.additional_gids);
  return std::move(w).done(u.other);
}
Result<User> read_user(Reader r) {
  User u;
  TRY(r.read("uid", u.uid));
  TRY(r.read("gid", u.gid));
  TRY(r.read("umask", u.umask));
  TRY(r.read("additionalGids", u.additional_gids));
  u.other = r.rest();
  return u;
}

Result<ConsoleSize> read_console_size(Reader r) {
  ConsoleSize c;
  TRY(r.read("height", c.height));
  TRY(r.read("width", c.width));
  TRY(r.end());
  return c;
}

Result<Process> read_process(Reader r) {
  Process p;
  TRY(r.read("terminal", p.terminal));
  TRY(r.read_part("consoleSize", p.console_size, read_console_size));
  if (const Json& user = r.at("user"); !user.is_null())
    p.user = TRY(read_user(TRY(Reader::of(user, r.path("user")))));
  TRY(r.read("args", p.args));
  TRY(r.read("env", p.env));
  TRY(r.read("cwd", p.cwd));
  TRY(r.read_part("capabilities", p.capabilities, read_capabilities));
  TRY(r.read_all<Rlimit>("rlimits", p.rlimits, read_rlimit));
  TRY(r.read("noNewPrivileges", p.no_new_privileges));
  TRY(r.read("oomScoreAdj", p.oom_score_adj));
  p.other = r.rest();
  return p;
}

Json write_namespace(const Namespace& n) {
  Writer w;
  w.must("type", n.type);
  w.add("path", n.path);
  return std::move(w).done();
}
Result<Namespace> read_namespace(Reader r) {
  Namespace n;
  TRY(r.read("type", n.type));
  TRY(r.read("path", n.path));
  TRY(r.end());
  return n;
}

Json write_id_mapping(const IdMapping& m) {
  return Json::object({{"containerID", m.container_id}, {"hostID", m.host_id}, {"size", m.size}});
}
Result<IdMapping> read_id_mapping(Reader r) {
  IdMapping m;
  TRY(r.read("containerID", m.container_id));
  TRY(r.read("hostID", m.host_id));
  TRY(r.read("size", m.size));
  TRY(r.end());
  return m;
}

Json write_device_rule(const DeviceRule& d) {
  Writer w;
  w.must("allow", d.allow);
  w.add("type", d.type);
  w.add("major", d.major);
  w.add("minor", d.minor);
  w.add("access", d.access);
  return std::move(w).done();
}
Result<DeviceRule> read_device_rule(Reader r) {
  DeviceRule d;
  TRY(r.read("allow", d.allow));
  TRY(r.read("type", d.type));
  TRY(r.read("major", d.major));
  TRY(r.read("minor", d.minor));
  TRY(r.read("access", d.access));
  TRY(r.end());
  return d;
}

Json write_resources(const Resources& x) {
  Writer w;
  w.add_all("devices", x.devices, write_device_rule);
  if (x.memory_limit || x.memory_swap) {
    Writer memory;
    memory.add("limit", x.memory_limit);
    memory.add("swap", x.memory_swap);
    w.must("memory", std::move(memory).done());
  }
  if (x.cpu_quota || x.cpu_period) {
    Writer cpu;
    cpu.add("quota", x.cpu_quota);
    cpu.add("period", x.cpu_period);
    w.must("cpu", std::move(cpu).done());
  }
  if (x.pids_limit) w.must("pids", Json::object({{"limit", *x.pids_limit}}));
  return std::move(w).done(x.other);
}
Result<Resources> read_resources(Reader r) {
  Resources x;
  TRY(r.read_all<DeviceRule>("devices", x.devices, read_device_rule));
  if (const Json& memory = r.at("memory"); !memory.is_null()) {
    Reader inner = TRY(Reader::of(memory, r.path("memory")));
    TRY(inner.read("limit", x.memory_limit));
    TRY(inner.read("swap", x.memory_swap));
    TRY(inner.end());
  }
  if (const Json& cpu = r.at("cpu"); !cpu.is_null()) {
    Reader inner = TRY(Reader::of(cpu, r.path("cpu")));
    TRY(inner.read("quota", x.cpu_quota));
    TRY(inner.read("period", x.cpu_period));
    TRY(inner.end());
  }
  if (const Json& pids = r.at("pids"); !pids.is_null()) {
    Reader inner = TRY(Reader::of(pids, r.path("pids")));
    TRY(inner.read("limit", x.pids_limit));
    TRY(inner.end());
  }
  x.other = r.rest();
  return x;
}

Json write_seccomp_arg(const SeccompArg& a) {
  Writer w;
  w.must("index", a.index);
  w.must("value", a.value);
  if (a.value_two != 0) w.must("valueTwo", a.value_two);
  w.must("op", a.op);
  return std::move(w).done();
}
Result<SeccompArg> read_seccomp_arg(Reader r) {
  SeccompArg a;
  TRY(r.read("index", a.index));
  TRY(r.read("value", a.value));
  TRY(r.read("valueTwo", a.value_two));
  TRY(r.read("op", a.op));
  TRY(r.end());
  return a;
}

Json write_seccomp_rule(const SeccompRule& s) {
  Writer w;
  w.must("names", s.names);
  w.must("action", s.action);
  w.add("errnoRet", s.errno_ret);
  w.add_all("args", s.args, write_seccomp_arg);
  return std::move(w).done();
}
Result<SeccompRule> read_seccomp_rule(Reader r) {
  SeccompRule s;
  TRY(r.read("names", s.names));
  TRY(r.read("action", s.action));
  TRY(r.read("errnoRet", s.errno_ret));
  TRY(r.read_all<SeccompArg>("args", s.args, read_seccomp_arg));
  if (s.names.empty()) return r.wrong("names", "missing");
  if (s.action.empty()) return r.wrong("action", "missing");
  // A condition that we would drop (Docker's "includes", "excludes") changes what the rule means.
  TRY(r.end());
  return s;
}

Result<Seccomp> read_seccomp(Reader r) {
  Seccomp s;
  TRY(r.read("defaultAction", s.default_action));
  if (s.default_action.empty()) return r.wrong("defaultAction", "missing");
  TRY(r.read("defaultErrnoRet", s.default_errno_ret));
  TRY(r.read("architectures", s.architectures));
  TRY(r.read("flags", s.flags));
  TRY(r.read_all<SeccompRule>("syscalls", s.syscalls, read_seccomp_rule));
  s.other = r.rest();
  return s;
}

Json write_linux(const Linux& l) {
  Writer w;
  w.add_all("uidMappings", l.uid_mappings, write_id_mapping);
  w.add_all("gidMappings", l.gid_mappings, write_id_mapping);
  w.add("sysctl", l.sysctl);
  if (l.resources) w.must("resources", write_resources(*l.resources));
  w.add("cgroupsPath", l.cgroups_path);
  w.add_all("namespaces", l.namespaces, write_namespace);
  if (l.seccomp) w.must("seccomp", l.seccomp->to_json());
  w.add("rootfsPropagation", l.rootfs_propagation);
  w.add("maskedPaths", l.masked_paths);
  w.add("readonlyPaths", l.readonly_paths);
  return std::move(w).done(l.other);
}
Result<Linux> read_linux(Reader r) {
  Linux l;
  TRY(r.read_all<IdMapping>("uidMappings", l.uid_mappings, read_id_mapping));
  TRY(r.read_all<IdMapping>("gidMappings", l.gid_mappings, read_id_mapping));
  TRY(r.read("sysctl", l.sysctl));
  TRY(r.read_part("resources", l.resources, read_resources));
  TRY(r.read("cgroupsPath", l.cgroups_path));
  TRY(r.read_all<Namespace>("namespaces", l.namespaces, read_namespace));
  TRY(r.read_part("seccomp", l.seccomp, read_seccomp));
  TRY(r.read("rootfsPropagation", l.rootfs_propagation));
  TRY(r.read("maskedPaths", l.masked_paths));
  TRY(r.read("readonlyPaths", l.readonly_paths));
  l.other = r.rest();
  return l;
}

}  // namespace

Json Process::to_json() const {
  Writer w(12);
  w.add("terminal", terminal);
  if (console_size)
    w.must("consoleSize",
           Json::object({{"height", console_size->height}, {"width", console_size->width}}));
  w.must("user", write_user(user));
  w.add("args", args);
  w.add("env", env);
  w.must("cwd", cwd);
  if (capabilities) w.must("capabilities", write_capabilities(*capabilities));
  w.add_all("rlimits", rlimits, write_rlimit);
  w.add("noNewPrivileges", no_new_privileges);
  w.add("oomScoreAdj", oom_score_adj);
  return std::move(w).done(other);
}

Result<Process> Process::from_json(const Json& object) {
  return read_process(TRY(Reader::of(object, "process")));
}

Json Seccomp::to_json() const {
  Writer w;
  w.must("defaultAction", default_action);
  w.add("defaultErrnoRet", default_errno_ret);
  w.add("architectures", architectures);
  w.add("flags", flags);
  w.add_all("syscalls", syscalls, write_seccomp_rule);
  return std::move(w).done(other);
}

Result<Seccomp> Seccomp::from_json(const Json& object) {
  return read_seccomp(TRY(Reader::of(object, "seccomp")));
}

}  // namespace spec

Result<RuntimeSpec> RuntimeSpec::from_json(const Json& document) {
  using spec::Reader;
  Reader r = TRY(Reader::of(document, ""));
  RuntimeSpec s;
  s.oci_version.clear();
  TRY(r.read("ociVersion", s.oci_version));
  if (s.oci_version.empty()) return r.wrong("ociVersion", "missing");
  if (!s.oci_version.starts_with("1."))
    return Error(Errc::unsupported, "ociVersion " + s.oci_version + ": only 1.x is known");
  TRY(r.read_part("process", s.process, spec::read_process));
  TRY(r.read_part("root", s.root, spec::read_root));
  TRY(r.read("hostname", s.hostname));
  TRY(r.read_all<spec::Mount>("mounts", s.mounts, spec::read_mount));
  TRY(r.read("annotations", s.annotations));
  TRY(r.read_part("linux", s.linux_, spec::read_linux));
  s.other = r.rest();
  return s;
}

Result<RuntimeSpec> RuntimeSpec::parse(std::string_view text) {
  return from_json(TRY(Json::parse(text, {.max_bytes = 16u << 20})));
}

Json RuntimeSpec::to_json() const {
  spec::Writer w(10);
  w.must("ociVersion", oci_version);
  if (process) w.must("process", process->to_json());
  if (root) w.must("root", spec::write_root(*root));
  w.add("hostname", hostname);
  w.add_all("mounts", mounts, spec::write_mount);
  w.add("annotations", annotations);
  if (linux_) w.must("linux", spec::write_linux(*linux_));
  return std::move(w).done(other);
}

}  // namespace locald::oci
