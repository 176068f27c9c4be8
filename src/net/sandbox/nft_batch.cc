#include "net/sandbox/nft_batch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
// before those of the kernel, which then leave out what it has defined
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/sys/unique_fd.h"

namespace locald::net {
namespace {

constexpr std::uint32_t kRegister = NFT_REG_1;
constexpr std::uint32_t kFromPort = 0, kToPort = 2;  // in TCP and UDP alike
constexpr std::uint32_t kChecksumOfTcp = 16, kChecksumOfUdp = 6;

/// Numbers of nf_tables are in network byte order.
void add_number(NetlinkMessage& message, int type, std::uint32_t number) {
  message.add(type, htonl(number));
}
void add_value(NetlinkMessage& message, int type, std::string_view bytes) {
  message.nest(type, [&] { message.add(NFTA_DATA_VALUE, bytes.data(), bytes.size()); });
}

template <typename T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::uint32_t hook(NftChain::Hook hook) {
  switch (hook) {
    case NftChain::Hook::prerouting:
      return NF_INET_PRE_ROUTING;
    case NftChain::Hook::input:
      return NF_INET_LOCAL_IN;
    case NftChain::Hook::forward:
      return NF_INET_FORWARD;
    case NftChain::Hook::output:
      return NF_INET_LOCAL_OUT;
    case NftChain::Hook::postrouting:
      return NF_INET_POST_ROUTING;
  }
  return NF_INET_NUMHOOKS;
}

Error refused(int error, const char* what) {
  const Error out = Error::from_errno(error, what);
  switch (error) {
    case EPROTONOSUPPORT:  // no nf_tables at all
    case ENOENT:           // an expression is unknown
    case EOPNOTSUPP:
      return Error(Errc::unsupported,
                   "this kernel's nf_tables cannot do what the networks of a "
                   "project need: " +
                       out.message())
          .with_hint(
              "load its modules (sudo modprobe -a nf_tables nft_chain_nat nft_redir "
              "nft_reject_inet nft_ct); where the kernel has none, write network = \"host\"");
    default:
      return out;
  }
}

}  // namespace

template <typename Fill>
NftRule& NftRule::add(const char* name, const Fill& fill) {
  // A message without a body of its own holds the attributes until the rule is put together.
  NetlinkMessage holder(0, 0, nfgenmsg{});
  fill(holder);
  expressions_.push_back(
      {name, std::string(holder.finish(0).substr(NLMSG_HDRLEN + sizeof(nfgenmsg)))});
  return *this;
}

NftRule& NftRule::compare(std::string_view value) {
  return add("cmp", [&](NetlinkMessage& m) {
    add_number(m, NFTA_CMP_SREG, kRegister);
    add_number(m, NFTA_CMP_OP, NFT_CMP_EQ);
    add_value(m, NFTA_CMP_DATA, value);
  });
}

NftRule& NftRule::any_bit(std::uint32_t bits) {
  constexpr std::uint32_t kNone = 0;
  add("bitwise", [&](NetlinkMessage& m) {
    add_number(m, NFTA_BITWISE_SREG, kRegister);
    add_number(m, NFTA_BITWISE_DREG, kRegister);
    add_number(m, NFTA_BITWISE_LEN, sizeof bits);
    add_value(m, NFTA_BITWISE_MASK, bytes_of(bits));
    add_value(m, NFTA_BITWISE_XOR, bytes_of(kNone));
  });
  return add("cmp", [&](NetlinkMessage& m) {
    add_number(m, NFTA_CMP_SREG, kRegister);
    add_number(m, NFTA_CMP_OP, NFT_CMP_NEQ);
    add_value(m, NFTA_CMP_DATA, bytes_of(kNone));
  });
}

NftRule& NftRule::link(std::uint32_t key, const std::string& name) {
  add("meta", [&](NetlinkMessage& m) {
    add_number(m, NFTA_META_KEY, key);
    add_number(m, NFTA_META_DREG, kRegister);
  });
  std::array<char, IFNAMSIZ> padded{};
  name.copy(padded.data(), padded.size() - 1);
  return compare({padded.data(), padded.size()});
}

NftRule& NftRule::group(std::uint32_t key, std::uint32_t group) {
  add("meta", [&](NetlinkMessage& m) {
    add_number(m, NFTA_META_KEY, key);
    add_number(m, NFTA_META_DREG, kRegister);
  });
  return compare(bytes_of(group));
}

NftRule& NftRule::from(const std::string& link) { return this->link(NFT_META_IIFNAME, link); }
NftRule& NftRule::out_by(const std::string& link) { return this->link(NFT_META_OIFNAME, link); }
NftRule& NftRule::from_group(std::uint32_t group) { return this->group(NFT_META_IIFGROUP, group); }
NftRule& NftRule::out_by_group(std::uint32_t group) {
  return this->group(NFT_META_OIFGROUP, group);
}

NftRule& NftRule::protocol(std::uint8_t l4) {
  add("meta", [&](NetlinkMessage& m) {
    add_number(m, NFTA_META_KEY, NFT_META_L4PROTO);
    add_number(m, NFTA_META_DREG, kRegister);
  });
  return compare(bytes_of(l4));
}

NftRule& NftRule::to(const Subnet& destination) { return address(destination, true); }
NftRule& NftRule::from(const Subnet& source) { return address(source, false); }

NftRule& NftRule::address(const Subnet& subnet, bool destination) {
  const bool v6 = subnet.address.is_v6();
  add("meta", [&](NetlinkMessage& m) {
    add_number(m, NFTA_META_KEY, NFT_META_NFPROTO);
    add_number(m, NFTA_META_DREG, kRegister);
  });
  compare(bytes_of(static_cast<std::uint8_t>(v6 ? NFPROTO_IPV6 : NFPROTO_IPV4)));
  const auto size = static_cast<std::uint32_t>(subnet.address.bytes().size());
  add("payload", [&](NetlinkMessage& m) {
    add_number(m, NFTA_PAYLOAD_DREG, kRegister);
    add_number(m, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    add_number(m, NFTA_PAYLOAD_OFFSET, (v6 ? 8 : 12) + (destination ? size : 0));
    add_number(m, NFTA_PAYLOAD_LEN, size);
  });
  const IpAddress all =
      v6 ? *IpAddress::parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") : IpAddress::v4(0xFFFFFFFF);
  const IpAddress mask = all.masked(subnet.length);
  add("bitwise", [&](NetlinkMessage& m) {
    add_number(m, NFTA_BITWISE_SREG, kRegister);
    add_number(m, NFTA_BITWISE_DREG, kRegister);
    add_number(m, NFTA_BITWISE_LEN, size);
    add_value(m, NFTA_BITWISE_MASK,
              {reinterpret_cast<const char*>(mask.bytes().data()), mask.bytes().size()});
    add_value(m, NFTA_BITWISE_XOR, std::string(size, '\0'));
  });
  const IpAddress network = subnet.network();
  return compare({reinterpret_cast<const char*>(network.bytes().data()), network.bytes().size()});
}

NftRule& NftRule::v6() {
  add("meta", [&](NetlinkMessage& m) {
    add_number(m, NFTA_META_KEY, NFT_META_NFPROTO);
    add_number(m, NFTA_META_DREG, kRegister);
  });
  return compare(bytes_of(std::uint8_t{NFPROTO_IPV6}));
}

NftRule& NftRule::to_port(std::uint16_t port) { return port_at(kToPort, port); }
NftRule& NftRule::from_port(std::uint16_t port) { return port_at(kFromPort, port); }

NftRule& NftRule::port_at(std::uint32_t offset, std::uint16_t port) {
  add("payload", [&](NetlinkMessage& m) {
    add_number(m, NFTA_PAYLOAD_DREG, kRegister);
    add_number(m, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
    add_number(m, NFTA_PAYLOAD_OFFSET, offset);
    add_number(m, NFTA_PAYLOAD_LEN, sizeof port);
  });
  return compare(bytes_of(htons(port)));
}

NftRule& NftRule::redirected() {
  add("ct", [&](NetlinkMessage& m) {
    add_number(m, NFTA_CT_KEY, NFT_CT_STATUS);
    add_number(m, NFTA_CT_DREG, kRegister);
  });
  return any_bit(IPS_DST_NAT);
}

NftRule& NftRule::established() {
  add("ct", [&](NetlinkMessage& m) {
    add_number(m, NFTA_CT_KEY, NFT_CT_STATE);
    add_number(m, NFTA_CT_DREG, kRegister);
  });
  return any_bit(NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
}

NftRule& NftRule::verdict(int code) {
  return add("immediate", [&](NetlinkMessage& m) {
    add_number(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    m.nest(NFTA_IMMEDIATE_DATA, [&] {
      m.nest(NFTA_DATA_VERDICT,
             [&] { add_number(m, NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code)); });
    });
  });
}

NftRule& NftRule::accept() { return verdict(NF_ACCEPT); }
NftRule& NftRule::drop() { return verdict(NF_DROP); }

NftRule& NftRule::reset() {
  return add("reject", [](NetlinkMessage& m) {
    add_number(m, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
    m.add(NFTA_REJECT_ICMP_CODE, "", 1);
  });
}

NftRule& NftRule::reject() {
  return add("reject", [](NetlinkMessage& m) {
    add_number(m, NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
    const std::uint8_t code = NFT_REJECT_ICMPX_ADMIN_PROHIBITED;
    m.add(NFTA_REJECT_ICMP_CODE, &code, 1);
  });
}

NftRule& NftRule::masquerade() {
  return add("masq", [](NetlinkMessage&) {});
}

NftRule& NftRule::redirect_to(std::uint16_t port) {
  add("immediate", [&](NetlinkMessage& m) {
    add_number(m, NFTA_IMMEDIATE_DREG, kRegister);
    add_value(m, NFTA_IMMEDIATE_DATA, bytes_of(htons(port)));
  });
  return add("redir", [&](NetlinkMessage& m) {
    add_number(m, NFTA_REDIR_REG_PROTO_MIN, kRegister);
    add_number(m, NFTA_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
  });
}

NftRule& NftRule::set_to_port(std::uint8_t l4, std::uint16_t port) {
  return set_port_at(kToPort, l4, port);
}
NftRule& NftRule::set_from_port(std::uint8_t l4, std::uint16_t port) {
  return set_port_at(kFromPort, l4, port);
}

NftRule& NftRule::set_port_at(std::uint32_t offset, std::uint8_t l4, std::uint16_t port) {
  add("immediate", [&](NetlinkMessage& m) {
    add_number(m, NFTA_IMMEDIATE_DREG, kRegister);
    add_value(m, NFTA_IMMEDIATE_DATA, bytes_of(htons(port)));
  });
  return add("payload", [&](NetlinkMessage& m) {
    add_number(m, NFTA_PAYLOAD_SREG, kRegister);
    add_number(m, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
    add_number(m, NFTA_PAYLOAD_OFFSET, offset);
    add_number(m, NFTA_PAYLOAD_LEN, sizeof port);
    add_number(m, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
    add_number(m, NFTA_PAYLOAD_CSUM_OFFSET, l4 == IPPROTO_TCP ? kChecksumOfTcp : kChecksumOfUdp);
  });
}

NftBatch::NftBatch(std::string table, bool exists) : table_(std::move(table)) {
  const auto add = [this](std::uint16_t type, std::uint16_t flags) {
    message(type, flags).add(NFTA_TABLE_NAME, table_);
  };
  if (exists) add(NFT_MSG_DELTABLE, 0);
  add(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
}

Result<void> NftBatch::write(const std::string& table, const std::function<void(NftBatch&)>& fill) {
  Result<void> done;
  for (const bool exists : {false, true}) {
    NftBatch batch(table, exists);
    fill(batch);
    done = batch.commit();
    if (done || done.error().sys_errno() != EEXIST) break;
  }
  return done;
}

NetlinkMessage& NftBatch::message(std::uint16_t type, std::uint16_t flags) {
  return messages_.emplace_back(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type),
                                static_cast<std::uint16_t>(NLM_F_ACK | flags),
                                nfgenmsg{NFPROTO_INET, NFNETLINK_V0, 0});
}

void NftBatch::chain(const NftChain& chain) {
  NetlinkMessage& m = message(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  m.add(NFTA_CHAIN_TABLE, table_);
  m.add(NFTA_CHAIN_NAME, chain.name);
  m.nest(NFTA_CHAIN_HOOK, [&] {
    add_number(m, NFTA_HOOK_HOOKNUM, hook(chain.hook));
    add_number(m, NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(chain.priority));
  });
  m.add(NFTA_CHAIN_TYPE, chain.type);
}

void NftBatch::rule(const std::string& chain, const NftRule& rule) {
  NetlinkMessage& m = message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  m.add(NFTA_RULE_TABLE, table_);
  m.add(NFTA_RULE_CHAIN, chain);
  m.nest(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, [&] {
    for (const auto& expression : rule.expressions_)
      m.nest(NFTA_LIST_ELEM | NLA_F_NESTED, [&] {
        m.add(NFTA_EXPR_NAME, expression.name);
        m.nest(NFTA_EXPR_DATA | NLA_F_NESTED,
               [&] { m.append(expression.attributes.data(), expression.attributes.size()); });
      });
  });
}

Result<void> NftBatch::commit() {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) return refused(errno, "open a socket to nf_tables");
  const int on = 1;
  ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  const nfgenmsg body{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)};
  std::string batch(NetlinkMessage(NFNL_MSG_BATCH_BEGIN, 0, body).finish(0));
  std::uint32_t sequence = 0;
  for (NetlinkMessage& each : messages_) batch += each.finish(++sequence);
  batch += NetlinkMessage(NFNL_MSG_BATCH_END, 0, body).finish(sequence + 1);
  if (::send(socket.get(), batch.data(), batch.size(), 0) < 0)
    return refused(errno, "send rules to nf_tables");
  alignas(NLMSG_ALIGNTO) std::array<char, 32768> reply{};
  std::uint32_t answered = 0;
  while (answered < sequence) {
    const ssize_t size = ::recv(socket.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Error::from_errno(errno, "receive from nf_tables");
    auto rest = static_cast<std::size_t>(size);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
         NLMSG_OK(header, rest); header = NLMSG_NEXT(header, rest)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      const int error = reinterpret_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
      if (error != 0) return refused(-error, "write rules into nf_tables");
      ++answered;
    }
  }
  return {};
}

}  // namespace locald::net
