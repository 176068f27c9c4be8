#include "net/sandbox/firewall.h"

#include <netinet/in.h>

#include <algorithm>
#include <set>

#include "net/sandbox/netd_sockets.h"
#include "net/sandbox/nft_batch.h"

namespace locald::net {
namespace {

/// Before a packet's destination is changed: what may leave its network.
const NftChain kLeave{"leave", "filter", NftChain::Hook::prerouting, -150};
/// What leaves goes to the relay.
const NftChain kRelay{"relay", "nat", NftChain::Hook::prerouting, -100};
/// What the sandbox itself takes.
const NftChain kInput{"input", "filter", NftChain::Hook::input, 0};
/// What it passes on.
const NftChain kForward{"forward", "filter", NftChain::Hook::forward, 0};
/// What leaves by an uplink does so from its address.
const NftChain kUplink{"uplink", "nat", NftChain::Hook::postrouting, 100};

Subnet subnet(std::string_view text) { return Subnet::parse(text).value(); }

NftRule from_links(const BridgePolicy& policy) {
  return policy.group != 0 ? NftRule().from_group(policy.group) : NftRule().from(policy.bridge);
}

bool is_same(const BridgePolicy& one, const BridgePolicy& other) {
  return one.bridge == other.bridge && one.group == other.group;
}

/// A rule for TCP and one for all else: what is refused is told at once.
void refuse(NftBatch& batch, const NftChain& chain, const NftRule& matched) {
  batch.rule(chain.name, NftRule(matched).protocol(IPPROTO_TCP).reset());
  batch.rule(chain.name, NftRule(matched).reject());
}

void leave(NftBatch& batch, const BridgePolicy& policy, const std::vector<BridgePolicy>& all) {
  const NftRule from = from_links(policy);
  const auto rule = [&](const NftRule& each) { batch.rule(kLeave.name, each); };
  for (const Subnet& own : policy.addresses) rule(NftRule(from).to(own).accept());
  // IPv6's neighbours are asked by multicast.
  rule(NftRule(from).protocol(IPPROTO_ICMPV6).to(subnet("fe80::/10")).accept());
  rule(NftRule(from).protocol(IPPROTO_ICMPV6).to(subnet("ff02::/16")).accept());
  for (const char* many : {"224.0.0.0/4", "255.255.255.255/32", "ff00::/8"})
    rule(NftRule(from).to(subnet(many)).drop());
  for (const BridgePolicy& other : all)
    for (const Subnet& theirs : other.addresses)
      if (!is_same(other, policy)) refuse(batch, kLeave, NftRule(from).to(theirs));
  if (policy.relay_port != 0) {
    for (const Subnet& allowed : policy.allowed)
      rule(NftRule(from).to(allowed).protocol(IPPROTO_TCP).accept());
    for (const char* local : {"169.254.0.0/16", "fe80::/10"})
      refuse(batch, kLeave, NftRule(from).to(subnet(local)));
    if (!policy.relay_v6) refuse(batch, kLeave, NftRule(from).v6());
    for (const Subnet& there : policy.relayed)
      rule(NftRule(from).to(there).protocol(IPPROTO_TCP).accept());
    if (!policy.relayed.empty()) return refuse(batch, kLeave, from);
    rule(NftRule(from).protocol(IPPROTO_TCP).accept());
    if (!policy.uplink.empty()) return rule(NftRule(from).accept());
  }
  refuse(batch, kLeave, from);
}

void relay(NftBatch& batch, const BridgePolicy& policy) {
  if (policy.relay_port == 0) return;
  const NftRule from = from_links(policy);
  for (const Subnet& own : policy.addresses)
    batch.rule(kRelay.name, NftRule(from).to(own).accept());
  batch.rule(kRelay.name, NftRule(from).protocol(IPPROTO_TCP).redirect_to(policy.relay_port));
}

void input(NftBatch& batch, const BridgePolicy& policy) {
  const NftRule from = from_links(policy);
  const auto accept = [&](NftRule rule) { batch.rule(kInput.name, rule.accept()); };
  accept(NftRule(from).established());
  accept(NftRule(from).redirected());
  accept(NftRule(from).protocol(IPPROTO_UDP).to_port(kDnsPort));
  accept(NftRule(from).protocol(IPPROTO_TCP).to_port(kDnsPort));
  accept(NftRule(from).protocol(IPPROTO_ICMP));
  accept(NftRule(from).protocol(IPPROTO_ICMPV6));
  refuse(batch, kInput, from);
}

void forward(NftBatch& batch, const std::vector<BridgePolicy>& all) {
  const auto accept = [&](NftRule rule) { batch.rule(kForward.name, rule.accept()); };
  accept(NftRule().established());
  for (const BridgePolicy& policy : all) {
    const NftRule from = from_links(policy);
    accept(policy.group != 0 ? NftRule(from).out_by_group(policy.group)
                             : NftRule(from).out_by(policy.bridge));
    if (!policy.uplink.empty() && policy.relay_port != 0)
      accept(NftRule(from).out_by(policy.uplink));
  }
  refuse(batch, kForward, NftRule());
}

/// Without either nothing forwards.
bool may_forward(const BridgePolicy& policy) { return policy.group != 0 || !policy.uplink.empty(); }

}  // namespace

Result<void> write_firewall(const std::vector<BridgePolicy>& bridges) {
  return NftBatch::write("locald", [&](NftBatch& batch) {
    for (const NftChain& chain : {kLeave, kRelay, kInput}) batch.chain(chain);
    for (const BridgePolicy& policy : bridges) {
      leave(batch, policy, bridges);
      relay(batch, policy);
      input(batch, policy);
    }
    if (std::any_of(bridges.begin(), bridges.end(), may_forward)) {
      batch.chain(kForward);
      forward(batch, bridges);
    }
    std::set<std::string> uplinks;
    for (const BridgePolicy& policy : bridges)
      if (!policy.uplink.empty()) uplinks.insert(policy.uplink);
    if (!uplinks.empty()) batch.chain(kUplink);
    for (const std::string& uplink : uplinks)
      batch.rule(kUplink.name, NftRule().out_by(uplink).masquerade());
  });
}

}  // namespace locald::net
