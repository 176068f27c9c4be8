#include "project/resolve/texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "project/network_check.h"
#include "project/resolve/resolve_network.h"

namespace locald::project {
namespace {

/// Around the number of a reference, while its text is put together.
constexpr char kLateBegin = '\x01', kLateEnd = '\x02';

constexpr std::size_t kMaxDotenv = 1u << 20;  // bytes

/// Nothing leaves its networks.
bool in_internal_alone(const ProjectSpec& spec, const ServiceSpec& service) {
  const auto internal = [&](const MemberSpec& member) {
    return std::any_of(spec.networks.begin(), spec.networks.end(), [&](const NetworkSpec& n) {
      return n.name == member.network && n.internal;
    });
  };
  return !service.networks.empty() &&
         std::all_of(service.networks.begin(), service.networks.end(), internal);
}

/// `.env` beside the project file; a folder of that name is something else's (a Python
/// environment).
Result<std::string> read_dotenv(const PathJudge& judge, const std::string& path) {
  const JudgedPath file = TRY(judge.open(path, PathJudge::Use::look));
  if (file.is_folder()) return Error(Errc::not_found, path + " is a folder");
  return file.read(kMaxDotenv);
}

}  // namespace

Texts::Texts(const ResolveInput& input)
    : in_(input),
      judge_(in_.paths, in_.shared),
      variables_(Variables::Input{
          .env = input.user.env,
          .dotenv = input.spec.dir + "/.env",
          .captured = input.captured,
          .refresh = input.refresh,
          .read = [this](const std::string& path) { return read_dotenv(judge_, path); }}) {
  lookup_.variable = [this](const std::string& name) { return variables_.value(name); };
  lookup_.service = [this](const std::string& service,
                           const std::string& field) -> Result<std::string> {
    const net::Endpoint e = TRY(endpoint(service));
    if (field != "host" && e.port == 0 && !in_.undecided.contains(service)) return no_port(service);
    if (field == "port") return std::to_string(e.port);
    std::string value = field == "host" ? e.host : e.url();
    // Only on the host's network it may turn out to be another address.
    const ServiceSpec* target = in_.spec.find(service);
    const bool on_host = [&] {
      for (const ServiceSpec* each : {spec_, target})
        if (each == nullptr || (each->network.mode != NetworkUse::Mode::host &&
                                each->network.mode != NetworkUse::Mode::unset))
          return false;
      return true;
    }();
    if (late_ == nullptr || !on_host) return value;
    late_->push_back({std::move(value), service, field});
    return fmt::format("{}{}{}", kLateBegin, late_->size() - 1, kLateEnd);
  };
  lookup_.unset = &unset_;
}

void Texts::begin(const ServiceSpec& spec) {
  spec_ = &spec;
  scope_ = spec.name;
  room_ = kMaxServiceText;
}

void Texts::begin_networks() {
  spec_ = nullptr;
  scope_ = "[networks]";
  room_ = kMaxServiceText;
}

int Texts::published(const std::string& service) const {
  const ServiceSpec* spec = in_.spec.find(service);
  if (spec == nullptr) return 0;
  const auto chosen = in_.auto_ports.find(service);
  if (spec->network.mode == NetworkUse::Mode::none ||
      spec->network.mode == NetworkUse::Mode::service)
    return 0;
  if (spec->network.mode != NetworkUse::Mode::project)
    return spec->auto_port && chosen != in_.auto_ports.end() ? chosen->second : spec->any_port();
  const LowPorts low(in_.spec, in_.rights);
  if (spec->port != 0) return low.moved(spec->port);
  if (chosen != in_.auto_ports.end()) return chosen->second;  // asked for, or for one on the host
  const int inside = container_port(*spec);
  for (const Text& text : spec->ports)
    if (const auto ports = parse_ports(text.raw))
      for (const PortConfig& port : *ports) {
        if (port.udp || (inside != 0 && port.container_port != inside)) continue;
        const auto key = in_.auto_ports.find(port_key(service, port));
        if (!port.chosen()) return low.moved(port.port);
        if (key != in_.auto_ports.end()) return key->second;
      }
  return 0;
}

Result<net::Endpoint> Texts::endpoint(const std::string& service) const {
  const ServiceSpec* target = in_.spec.find(service);
  if (target == nullptr) return net::Endpoint();
  return endpoint_of(*target);
}

Result<net::Endpoint> Texts::endpoint_of(const ServiceSpec& target) const {
  using Mode = NetworkUse::Mode;
  net::Endpoint e;
  const auto refuse = [&](std::string why, std::string hint) {
    return Error(Errc::invalid_input, std::move(why)).with_hint(std::move(hint));
  };
  const std::string& name = target.name;
  const bool own = spec_ == &target;
  const ServiceSpec* reader = spec_ != nullptr ? network_owner(in_.spec, *spec_) : nullptr;
  const ServiceSpec* owner = network_owner(in_.spec, target);
  if (!own && target.network.mode == Mode::none)
    return refuse(fmt::format("nothing reaches {}: its `network` is \"none\"", name),
                  fmt::format("give {} network = \"project\", or remove the reference", name));
  if (spec_ == nullptr || spec_->network.mode == Mode::host || spec_->network.mode == Mode::unset) {
    if (target.network.mode == Mode::service)
      return refuse(fmt::format("{} publishes no port: it is in the network of {}", name,
                                owner != nullptr ? owner->name : target.network.service),
                    fmt::format("publish its port at {0}, and refer to that one: "
                                "${{services.{0}.host}}",
                                owner != nullptr ? owner->name : target.network.service));
    e.port = static_cast<std::uint16_t>(published(name));
    return e;
  }
  e.port = static_cast<std::uint16_t>(container_port(target));
  if (own) return e;
  if (reader != nullptr && reader->network.mode == Mode::none)
    return refuse(
        fmt::format("{} reaches nothing: its `network` is \"none\"", spec_->name),
        fmt::format("give {} network = \"project\", or remove the reference", spec_->name));
  if (target.network.mode == Mode::host) {
    if (reader != nullptr && in_internal_alone(in_.spec, *reader))
      return refuse(fmt::format("{} does not reach {} on the host: its networks are internal",
                                spec_->name, name),
                    "add a network without `internal` to its `networks`");
    e.port = static_cast<std::uint16_t>(published(name));
    e.host = slug(name);
    return e;
  }
  if (owner == nullptr || reader == nullptr || owner == reader) return e;  // the same network
  for (const MemberSpec& mine : reader->networks)
    for (const MemberSpec& theirs : owner->networks)
      if (mine.network == theirs.network) {
        e.host = slug(name);
        return e;
      }
  return refuse(fmt::format("{} and {} are in no network together", spec_->name, name),
                "name one in the `networks` of both");
}

Error Texts::no_port(const std::string& service) const {
  Error error(Errc::invalid_input, fmt::format("{} has no port", service));
  const ServiceSpec* spec = in_.spec.find(service);
  if (spec == nullptr || spec->kind != ServiceKind::container) return error;
  return std::move(error).with_hint(
      "its image exposes no port, or several: write the one that it listens on as "
      "`container_port`");
}

void Texts::problem(SourcePos at, const Error& error) {
  if (failed(at)) return;  // what follows from a text without a value
  problems_.push_back(
      {in_.spec.file_of(at), at, shortened(error.message(), kMaxNotice), error.hint()});
}

std::string Texts::text(const Text& t, Use use) {
  if (room_ == 0 || t.empty()) return {};
  unset_.clear();
  variables_.at(scope_, in_.spec.file_of(t.at), t.at);
  auto value = interpolate(t.raw, lookup_);
  if (!value)
    problem(t.at, value.error());
  else if (!unset_.empty())
    not_set(t, use);
  else if (auto fits = check_word("", *value); !fits)
    problem(t.at, fits.error());
  else if (value->size() >= room_)
    problem(t.at, no_room());
  else
    return room_ -= value->size(), std::move(*value);
  failed_.emplace(t.at.file, t.at.line, t.at.column);
  return {};
}

std::string Texts::text(const Text& t, Use use, LateText::Place place, std::string key,
                        ServiceConfig& out) {
  std::vector<LateText::Piece> references;
  late_ = &references;
  const std::string marked = text(t, use);
  late_ = nullptr;
  if (references.empty()) return marked;
  LateText late{place, std::move(key), {}};
  std::string plain;
  const auto add = [&](LateText::Piece piece) {
    plain += piece.text;
    if (!piece.text.empty()) late.pieces.push_back(std::move(piece));
  };
  std::size_t from = 0;
  while (true) {
    const std::size_t begin = marked.find(kLateBegin, from);
    const std::size_t end = begin == std::string::npos ? begin : marked.find(kLateEnd, begin);
    if (end == std::string::npos) break;
    const auto index = parse_u64(marked.substr(begin + 1, end - begin - 1));
    add({marked.substr(from, begin - from), {}, {}});
    if (index && *index < references.size())
      add(references[*index]);
    else
      add({marked.substr(begin, end + 1 - begin), {}, {}});  // a value's own
    from = end + 1;
  }
  add({marked.substr(from), {}, {}});
  out.late.push_back(std::move(late));
  return plain;
}

Error Texts::no_room() {
  room_ = 0;
  return Error(Errc::invalid_input,
               fmt::format("{}: its values grow beyond {} MiB", scope_, kMaxServiceText >> 20))
      .with_hint("no process can be given more: pass the name of a file");
}

void Texts::not_set(const Text& t, Use use) {
  if (variables_.may_be_in_dotenv()) return;  // that it cannot be read is the problem
  for (const std::string& name : std::set<std::string>(unset_.begin(), unset_.end())) {
    std::string hint = fmt::format(
        "set it in the environment of `locald up` or in {}/.env, or write ${{{}:-}} where it may "
        "be empty",
        in_.spec.dir, name);
    if (use == Use::command)
      hint += fmt::format("; a variable of the command's own shell is ${} or $${{{}}}", name, name);
    problem(t.at, Error(Errc::invalid_input, fmt::format("${{{}}} is not set", name))
                      .with_hint(std::move(hint)));
  }
}

std::vector<std::string> Texts::command(const ServiceSpec& service, const CommandSpec& spec,
                                        LateText::Place place, ServiceConfig& out) {
  std::vector<std::string> argv;
  if (spec.empty()) return argv;
  if (service.kind == ServiceKind::cnb) {
    // As the launcher wants it: a single word is for its shell. Spec: CNB platform.md#launcher.
    if (!spec.shell) argv = {"--"};
  } else if (spec.shell) {
    argv = {service.kind == ServiceKind::exec ? "sh" : "/bin/sh", "-c"};
  }
  for (const Text& word : spec.words)
    argv.push_back(text(word, Use::command, place, std::to_string(argv.size()), out));
  return argv;
}

std::string Texts::in_project(const std::string& path) const {
  if (path.empty()) return in_.spec.dir;
  return path.starts_with("/") ? path : in_.spec.dir + "/" + path;
}

}  // namespace locald::project
