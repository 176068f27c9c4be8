#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

std::string known(const std::vector<ipc::ServiceStatus>& services) {
  std::vector<std::string> names;
  for (const ipc::ServiceStatus& service : services)
    if (service.url) names.push_back(service.name);
  return join(names, ", ");
}

/// Of a service that tells none: what its first published TCP port is likely to answer with.
std::optional<std::string> published_url(const ipc::ServiceStatus& service) {
  static const std::string kHere = "localhost";
  for (const ipc::ServicePort& port : service.ports) {
    if (port.protocol != "tcp" || port.port == 0) continue;
    const bool all = port.address.empty() || port.address == "0.0.0.0" || port.address == "::";
    const std::string& host = all ? kHere : port.address;
    const bool v6 = host.find(':') != std::string::npos;
    return "http://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port.port);
  }
  return std::nullopt;
}

/// The service whose page is meant.
Result<ipc::ServiceStatus> service_of(std::vector<ipc::ServiceStatus> services, const Args& args) {
  const bool any = std::any_of(services.begin(), services.end(),
                               [](const ipc::ServiceStatus& service) { return service.url; });
  for (ipc::ServiceStatus& service : services)
    if (!service.url && (!any || !args.arguments().empty())) service.url = published_url(service);
  if (!args.arguments().empty()) {
    const std::string& name = args.argument(0);
    for (const ipc::ServiceStatus& service : services) {
      if (service.name != name) continue;
      if (service.url) return service;
      return Error(Errc::not_found, name + " has no URL")
          .with_hint(service.state == "running" ? "give it a `port`; a container also a health "
                                                  "check by http"
                                                : "bring it up: locald up " + name);
    }
    std::vector<std::string> names;
    for (const ipc::ServiceStatus& service : services) names.push_back(service.name);
    const auto near = did_you_mean(name, names);
    return Error(Errc::not_found, "there is no service '" + name + "'")
        .with_hint(near ? "did you mean '" + *near + "'?" : "there are: " + join(names, ", "));
  }
  std::vector<ipc::ServiceStatus> with;
  for (const ipc::ServiceStatus& service : services)
    if (service.url) with.push_back(service);
  if (with.size() == 1) return with.front();
  for (const ipc::ServiceStatus& service : with)
    if (service.name == "web") return service;
  if (with.empty())
    return Error(Errc::not_found, "no service has a URL")
        .with_hint("locald status shows the ports of services that are up");
  return Error(Errc::invalid_input, "several services have a URL: " + known(services))
      .with_hint("name one: locald open " + with.front().name);
}

/// Becomes the program that opens pages here; returns where there is none.
void become_browser(const std::string& url) {
  std::vector<std::string> programs;
  if (const char* browser = std::getenv("BROWSER"); browser != nullptr && *browser != '\0')
    programs.push_back(split(browser, ':').front());
  for (const char* program : {"xdg-open", "wslview", "open"}) programs.emplace_back(program);
  for (std::string& program : programs) {
    std::string page = url;
    char* argv[] = {program.data(), page.data(), nullptr};
    ::execvp(argv[0], argv);
  }
}

Result<int> open_verb(Context& context, const Args& args) {
  ipc::StatusRequest request;
  request.project = TRY(context.project());
  auto client = TRY(context.connect());
  const auto reply = TRY(client.ask(request));
  const ipc::ServiceStatus service =
      TRY(service_of(reply.services.value_or(std::vector<ipc::ServiceStatus>()), args));
  if (args.has("print")) return out(*service.url + "\n") ? 0 : 1;
  if (service.state != "running")
    return Error(Errc::failed, service.name + " is not running: " + state_text(service))
        .with_hint("bring it up: locald up " + service.name);
  err(service.name + ": " + *service.url + "\n");
  become_browser(*service.url);
  return Error(Errc::not_found, "there is no program here that opens pages")
      .with_hint("set BROWSER, or install xdg-utils; locald open --print prints the URL");
}

}  // namespace

const Verb kOpen{
    .name = "open",
    .usage = "[--print] [SERVICE]",
    .summary = "open a service's URL in the browser",
    .details =
        "Without a name the service web, or the only one that has a URL. A container without a\n"
        "health check by http has that of the first TCP port that it publishes, where it is\n"
        "named, or no service has another. The browser is what BROWSER names, else xdg-open,\n"
        "wslview or open.\n\n"
        "examples:\n"
        "  locald open\n"
        "  curl \"$(locald open --print api)/healthz\"\n",
    .options = {{0, "print", nullptr, "print the URL and open nothing"}},
    .max_arguments = 1,
    .run = open_verb,
};

}  // namespace locald::cli
