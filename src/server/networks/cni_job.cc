#include "server/networks/cni_job.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "net/cni/chain.h"
#include "net/cni/settle.h"
#include "net/packet.h"
#include "net/sandbox/sandbox.h"
#include "server/networks/subnet_texts.h"

namespace locald::server {
namespace {

/// Places in one job: their descriptors come in one packet.
constexpr std::size_t kMaxPlaces = 100;
/// What a job takes besides its calls.
constexpr std::chrono::seconds kSpare{10};

constexpr const char *kAdd = "add", *kCheck = "check";

// -- in the worker

Result<void> add(const net::CniWorld& world, const net::CniPlace& place, CniPlace& out) {
  out.result = TRY(net::cni_add(world, place));
  auto found = [&]() -> Result<net::FoundPlace> {
    const auto result = TRY(net::CniResult::parse(out.result));
    net::FoundPlace settled;
    TRY(net::in_namespace(world.sandbox, [&]() -> Result<void> {
      settled = TRY(net::settle(result, net::kPluginGroup + out.number));
      return {};
    }));
    return settled;
  }();
  if (!found) {
    (void)net::cni_delete(world, place, out.result);
    out.result = Json();
    return std::move(found).error();
  }
  out.addresses = texts(found->addresses);
  out.gateways = texts(found->gateways);
  out.nameservers = std::move(found->nameservers);
  out.search = std::move(found->search);
  out.options = std::move(found->options);
  return {};
}

Result<void> call_one(const net::CniWorld& world, const std::string& command, int netns,
                      CniPlace& place) {
  const net::CniPlace one{.list = TRY(net::Conflist::parse(place.conflist)),
                          .container = place.container,
                          .link = place.link,
                          .netns = netns,
                          .capabilities = place.capabilities};
  if (command == kAdd) return add(world, one, place);
  if (command == kCheck) return net::cni_check(world, one, place.result);
  return net::cni_delete(world, one, place.result);
}

Result<Json> cni_job(const Json& json, const std::function<void(Json)>&) {
  auto job = TRY(decode<CniJob>(json));
  const UniqueFd socket = TRY(runtime::handed_file(json));
  net::Packet first;
  if (!first.receive(socket.get()) || first.ended())
    return Error(Errc::cancelled, "the job came without its first packet");
  std::vector<UniqueFd> given = std::move(first.fds());
  std::size_t next = 0;
  UniqueFd sandbox;
  if (job.sandbox && next < given.size())
    sandbox = std::move(given[next++]);
  else
    sandbox = TRY(net::make_namespace());
  (void)TRY(make_dirs(job.folder));
  const net::CniWorld world{.path = job.path,
                            .search_path = job.search_path,
                            .folder = job.folder,
                            .sandbox = sandbox.get(),
                            .limit = job.limit};
  Json out = Json::array();
  for (CniPlace& place : job.places) {
    int netns = -1;
    if (place.has_netns && next < given.size()) netns = given[next++].get();
    const auto done = call_one(world, job.command, netns, place);
    Json one = Json::object();
    if (done)
      one.set("place", encode(place));
    else
      one.set("error", Json::object({{"code", std::string(to_string(done.error().code()))},
                                     {"message", done.error().message()},
                                     {"hint", done.error().hint()}}));
    out.push(std::move(one));
  }
  return Json::object({{"places", std::move(out)}});
}

// -- in the server

Result<void> taken(const Json& json, CniPlace& place) {
  const Json& error = json["error"];
  if (!error.is_null()) {
    Error out(errc_from_string(error["code"].as_string()), error["message"].as_string());
    if (error["hint"].as_string().empty()) return out;
    return std::move(out).with_hint(error["hint"].as_string());
  }
  auto done = TRY(decode<CniPlace>(json["place"]));
  done.netns = place.netns;
  place = std::move(done);
  return {};
}

}  // namespace

const Fields& CniPlace::fields() {
  using P = CniPlace;
  static const Fields table = FieldsOf<P>("place")
                                  .required("service", &P::service, "")
                                  .required("network", &P::network, "")
                                  .required("number", &P::number, "of the network")
                                  .required("container", &P::container, "CNI_CONTAINERID")
                                  .required("link", &P::link, "CNI_IFNAME")
                                  .required("conflist", &P::conflist, "")
                                  .field("capabilities", &P::capabilities, "")
                                  .field("netns", &P::netns_inode, "its inode")
                                  .field("has_netns", &P::has_netns, "")
                                  .field("result", &P::result, "of ADD")
                                  .field("addresses", &P::addresses, "")
                                  .field("gateways", &P::gateways, "")
                                  .field("nameservers", &P::nameservers, "")
                                  .field("search", &P::search, "")
                                  .field("options", &P::options, "");
  return table;
}

Result<net::FoundPlace> CniPlace::found() const {
  return net::FoundPlace{TRY(subnets(addresses)), TRY(subnets(gateways)), nameservers, search,
                         options};
}

const Fields& CniJob::fields() {
  using J = CniJob;
  static const Fields table = runtime::job_fields<J>()
                                  .required("command", &J::command, "")
                                  .required("path", &J::path, "folders of plugins")
                                  .required("search_path", &J::search_path, "")
                                  .required("folder", &J::folder, "")
                                  .required("limit", &J::limit, "of one call, ms")
                                  .field("sandbox", &J::sandbox, "it is given")
                                  .required("places", &J::places, "");
  return table;
}

runtime::WorkerHandler find_cni_job(const std::string& op) {
  if (op == CniJob::kOp) return cni_job;
  return {};
}

Result<std::vector<Result<void>>> call_plugins(builder::Environment& environment,
                                               const CniSettings& settings,
                                               const std::string& command, int sandbox,
                                               const std::string& folder,
                                               std::vector<CniPlace*> places,
                                               const std::stop_token& stop) {
  std::vector<Result<void>> out;
  for (std::size_t from = 0; from < places.size(); from += kMaxPlaces) {
    const std::size_t to = std::min(places.size(), from + kMaxPlaces);
    CniJob job{.command = command,
               .path = settings.path,
               .search_path = settings.search_path,
               .folder = folder,
               .limit = settings.limit,
               .sandbox = sandbox >= 0,
               .places = {}};
    std::vector<int> given;
    if (sandbox >= 0) given.push_back(sandbox);
    std::size_t calls = 0;
    for (std::size_t i = from; i < to; ++i) {
      CniPlace place = *places[i];
      place.has_netns = place.netns != nullptr;
      if (place.has_netns) given.push_back(place.netns->get());
      if (const auto list = net::Conflist::parse(place.conflist)) calls += list->plugins.size();
      job.places.push_back(std::move(place));
    }
    auto [ours, theirs] = TRY(sys::socketpair(SOCK_SEQPACKET));
    if (!net::send_packet(ours.get(), "go", given))
      return Error(Errc::failed, "hand the sandbox to the worker");
    // One that fails is followed by as many calls again that delete.
    const Json done =
        TRY(environment
                .run(encode(job), {}, stop, settings.limit * static_cast<int>(2 * calls) + kSpare,
                     theirs.get())
                .context("call CNI plugins"));
    const Json::Array& results = done["places"].as_array();
    if (results.size() != to - from)
      return Error(Errc::failed, "call CNI plugins: the worker answered too little");
    for (std::size_t i = from; i < to; ++i) out.push_back(taken(results[i - from], *places[i]));
  }
  return out;
}

}  // namespace locald::server
