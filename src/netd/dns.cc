#include "netd/dns.h"

#include <algorithm>
#include <utility>

namespace locald::netd {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::size_t kMaxName = 255;
constexpr std::uint16_t kTypeA = 1, kTypeAaaa = 28, kTypeOpt = 41, kClassIn = 1;
constexpr std::uint16_t kOwnUdpSize = 1232;  // fits into every path's packets
constexpr std::uint32_t kTtl = 1;

enum Code : std::uint8_t {
  kNoError = 0,
  kFormatError = 1,
  kServerFailure = 2,
  kNoSuchName = 3,
  kNotImplemented = 4,
  kRefused = 5
};

std::uint16_t u16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<std::uint8_t>(bytes[at]) << 8 |
                                    static_cast<std::uint8_t>(bytes[at + 1]));
}
void add16(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}

struct Question {
  std::string name;  ///< lower case, labels with dots between
  std::uint16_t type = 0, klass = 0;
  std::size_t end = 0;  ///< behind it, in the packet
};

/// The question of a query; a name of a query is not compressed.
std::optional<Question> question_of(std::string_view packet) {
  Question out;
  std::size_t at = kHeader;
  while (true) {
    if (at >= packet.size()) return std::nullopt;
    const auto length = static_cast<std::uint8_t>(packet[at++]);
    if (length == 0) break;
    if (length > 63 || at + length > packet.size() || at + length - kHeader > kMaxName)
      return std::nullopt;
    if (!out.name.empty()) out.name += '.';
    for (const char c : packet.substr(at, length)) {
      // A dot within a label would make another name of it.
      if (c == '.' || c == '\0') return std::nullopt;
      out.name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    at += length;
  }
  if (at + 4 > packet.size()) return std::nullopt;
  out.type = u16(packet, at);
  out.klass = u16(packet, at + 2);
  out.end = at + 4;
  return out;
}

/// The size of UDP packets that the asker takes, where it says so (OPT, of the root).
std::optional<std::size_t> udp_size(std::string_view packet, const Question& question) {
  if (u16(packet, 10) == 0 || u16(packet, 6) != 0 || u16(packet, 8) != 0) return std::nullopt;
  const std::size_t at = question.end;
  if (at + 11 > packet.size() || packet[at] != '\0' || u16(packet, at + 1) != kTypeOpt)
    return std::nullopt;
  return std::max<std::size_t>(u16(packet, at + 3), 512);
}

/// Header and question of a reply. `packet` may be cut after its header: then without question.
std::string begin(std::string_view packet, const Question* question, Code code) {
  std::string out(packet.substr(0, 2));
  out += static_cast<char>(0x80 | (packet[2] & 0x79));  // a reply; opcode and RD as asked
  out += static_cast<char>(0x80 | code);                // recursion is available
  add16(out, question == nullptr ? 0 : 1);
  out.append(6, '\0');
  if (question != nullptr) out += packet.substr(kHeader, question->end - kHeader);
  return out;
}

const std::vector<net::IpAddress>* find(const NameTables& names, std::string_view name) {
  for (const auto& table : names)
    if (const auto found = table->find(name); found != table->end()) return &found->second;
  return nullptr;
}

}  // namespace

DnsVerdict decide(std::string_view packet, const NameTables& names, std::uint32_t turn,
                  std::size_t limit) {
  using Kind = DnsVerdict::Kind;
  if (packet.size() < kHeader || (packet[2] & 0x80) != 0) return {};
  if ((packet[2] & 0x78) != 0) return {Kind::reply, begin(packet, nullptr, kNotImplemented)};
  const auto question = u16(packet, 4) == 1 ? question_of(packet) : std::nullopt;
  if (!question) return {Kind::reply, begin(packet, nullptr, kFormatError)};

  const auto* found = question->klass == kClassIn ? find(names, question->name) : nullptr;
  const bool elsewhere = question->name.empty() || question->name.find('.') != std::string::npos;
  if (found == nullptr && elsewhere) return {Kind::forward, {}};

  const auto edns = udp_size(packet, *question);
  std::string out = begin(packet, &*question, found == nullptr ? kNoSuchName : kNoError);
  const std::size_t own = edns ? 11 : 0;  // of our OPT
  if (limit != 0 && edns) limit = std::min<std::size_t>(*edns, kOwnUdpSize);
  unsigned count = 0;
  bool truncated = false;
  if (found != nullptr) {
    std::vector<net::IpAddress> addresses;
    for (const net::IpAddress& each : *found)
      if (question->type == (each.is_v6() ? kTypeAaaa : kTypeA)) addresses.push_back(each);
    if (!addresses.empty())
      std::rotate(addresses.begin(),
                  addresses.begin() + static_cast<std::ptrdiff_t>(turn % addresses.size()),
                  addresses.end());
    for (const net::IpAddress& each : addresses) {
      const std::size_t size = 12 + each.bytes().size();
      if (limit != 0 && out.size() + size + own > limit) {
        truncated = true;
        break;
      }
      add16(out, 0xC000 | kHeader);  // the name of the question
      add16(out, question->type);
      add16(out, kClassIn);
      add16(out, 0);
      add16(out, kTtl);
      add16(out, static_cast<unsigned>(each.bytes().size()));
      out.append(reinterpret_cast<const char*>(each.bytes().data()), each.bytes().size());
      ++count;
    }
  }
  out[7] = static_cast<char>(count);
  out[6] = static_cast<char>(count >> 8);
  if (truncated) out[2] = static_cast<char>(out[2] | 0x02);
  if (edns) {
    out += '\0';
    add16(out, kTypeOpt);
    add16(out, kOwnUdpSize);
    out.append(6, '\0');
    out[11] = 1;
  }
  return {Kind::reply, std::move(out)};
}

std::string server_failure(std::string_view query) {
  const auto question = question_of(query);
  return begin(query, question ? &*question : nullptr, kServerFailure);
}

bool answers(std::string_view reply, std::string_view query) {
  if (reply.size() < kHeader || query.size() < kHeader) return false;
  if (reply.substr(0, 2) != query.substr(0, 2) || (reply[2] & 0x80) == 0) return false;
  const int code = reply[3] & 0x0F;
  if (code == kRefused || code == kServerFailure) return false;
  const auto asked = question_of(query);
  const auto said = u16(reply, 4) == 1 ? question_of(reply) : std::nullopt;
  return asked && said && asked->name == said->name && asked->type == said->type &&
         asked->klass == said->klass;
}

}  // namespace locald::netd
