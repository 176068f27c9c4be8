#include "project/resolve/resolve_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/strings.h"
#include "cnb/app.h"
#include "net/ip_address.h"
#include "project/resolve/asked_images.h"

namespace locald::project {
namespace {

/// Other names are not looked up.
void not_known(Texts& texts, const std::string& host, SourcePos at) {
  std::vector<std::string> names;
  for (const ServiceSpec& service : texts.in().spec.services) names.push_back(service.name);
  const auto near = did_you_mean(host, names);
  texts.problem(
      at, Error(Errc::invalid_input,
                fmt::format("\"{}\" is neither an address nor a service of this project", host))
              .with_hint(near ? fmt::format("did you mean '{}'?", *near)
                              : "write an address: other names are not looked up"));
}

/// "PORT", "HOST:PORT", "[::1]:PORT".
void address(Texts& texts, const std::string& text, SourcePos at, HealthConfig& out,
             int default_port) {
  std::string host = text;
  std::optional<std::uint64_t> port = parse_u64(text);
  if (port) {
    host.clear();
  } else if (const std::size_t colon = text.rfind(':');
             colon != std::string::npos && !text.ends_with("]")) {
    host = text.substr(0, colon);
    port = parse_u64(text.substr(colon + 1));
  } else if (default_port != 0) {
    port = static_cast<std::uint64_t>(default_port);
  }
  if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
  if (!port || *port == 0 || *port > 65535) {
    const bool digits = !text.empty() && text.back() >= '0' && text.back() <= '9';
    return texts.problem(
        at, Error(Errc::invalid_input,
                  fmt::format("\"{}\" has {} port", text, digits ? "an invalid" : "no"))
                .with_hint("write PORT or \"HOST:PORT\"; ports go from 1 to 65535"));
  }
  const bool numeric = net::IpAddress::parse(host).has_value();
  if (texts.in().spec.find(host) != nullptr) {
    auto where = texts.endpoint(host);
    if (!where) return texts.problem(at, where.error());
    host = where->host;
  } else if (!host.empty() && host != "localhost" && !numeric)
    return not_known(texts, host, at);
  out.host = host.empty() ? "localhost" : host;
  out.port = static_cast<int>(*port);
}

}  // namespace

void resolve_health(Texts& texts, const ServiceSpec& spec, ServiceConfig& out) {
  const HealthSpec& h = spec.health;
  HealthConfig& c = out.health;
  c.kind = h.kind;
  c.interval = h.interval;
  c.timeout = h.timeout;
  c.start_period = h.start_period;
  c.retries = h.retries;
  const bool on_host = out.network == "host";
  // A service that was told "localhost" may have chosen either address.
  c.host = on_host ? "localhost" : "";
  c.port = on_host ? out.port : out.container_port;
  if (!on_host && c.port == 0 && asks_own_port(h) && !texts.in().undecided.contains(spec.name))
    texts.problem(h.at, texts.no_port(spec.name));
  if (h.kind == HealthSpec::Kind::log) c.pattern = h.target.raw;
  if (h.kind == HealthSpec::Kind::exec) {
    c.argv = texts.command(spec, h.command, LateText::Place::health, out);
    // In the app's own environment, which the launcher makes.
    if (spec.kind == ServiceKind::cnb) {
      c.argv.insert(c.argv.begin(), std::string(cnb::kLauncher));
      for (LateText& late : out.late)
        if (late.place == LateText::Place::health)
          late.key = std::to_string(parse_u64(late.key).value_or(0) + 1);
    }
  }
  const std::string target = h.kind == HealthSpec::Kind::http || h.kind == HealthSpec::Kind::tcp
                                 ? texts.text(h.target)
                                 : "";
  if (h.kind == HealthSpec::Kind::tcp && !target.empty()) address(texts, target, h.target.at, c, 0);
  if (h.kind != HealthSpec::Kind::http) return;
  c.path = target;
  if (!target.starts_with("http://")) {
    if (!target.starts_with("/"))
      texts.problem(
          h.target.at,
          Error(Errc::invalid_input,
                fmt::format("`http` = \"{}\" is neither a path nor an http URL", target)));
  } else {
    const std::string rest = target.substr(7);
    const std::size_t slash = rest.find('/');
    if (rest.find_first_of("/:") == 0 || rest.empty())
      return texts.problem(h.target.at, Error(Errc::invalid_input,
                                              fmt::format("`http` = \"{}\" has no host", target))
                                            .with_hint("for example \"/healthz\""));
    c.path = slash == std::string::npos ? "/" : rest.substr(slash);
    address(texts, rest.substr(0, slash), h.target.at, c, 80);
  }
  // It becomes a line of a request: nothing may end that line early.
  if (std::any_of(c.path.begin(), c.path.end(),
                  [](unsigned char ch) { return ch <= ' ' || ch == 127; }))
    texts.problem(h.target.at,
                  Error(Errc::invalid_input, "`http` holds blanks or control characters")
                      .with_hint("write them as %20"));
}

}  // namespace locald::project
