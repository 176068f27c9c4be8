#include "project/resolve/late_text.h"

#include "base/json/fields.h"
#include "base/strings.h"
#include "net/endpoint.h"
#include "project/service_config.h"

namespace locald {

template <>
struct EnumNumbers<project::LateText::Place> {
  static constexpr int kLast = static_cast<int>(project::LateText::Place::health);
};

namespace fields {

template <>
struct Of<project::LateText::Piece> {
  static const Fields& table() {
    using P = project::LateText::Piece;
    static const Fields table = FieldsOf<P>("piece")
                                    .always("text", &P::text, "")
                                    .always("service", &P::service, "")
                                    .always("field", &P::field, "");
    return table;
  }
  static constexpr Type kType{.kind = Type::Kind::object, .object = &table};
};

}  // namespace fields

namespace project {
namespace {

const Fields& late_fields() {
  using L = LateText;
  static const Fields table = FieldsOf<L>("late text")
                                  .always("place", &L::place, "")
                                  .always("key", &L::key, "")
                                  .always("pieces", &L::pieces, "");
  return table;
}

std::string placed(const LateText::Piece& piece, const std::string& host, bool colon_follows) {
  const std::string standard = net::Endpoint().host;
  const std::string bracketed = host.find(':') != std::string::npos ? "[" + host + "]" : host;
  if (piece.field == "host") return colon_follows ? bracketed : host;
  const std::size_t at = piece.text.find(standard);
  if (at == std::string::npos) return piece.text;
  return std::string(piece.text).replace(at, standard.size(), bracketed);
}

void put(std::vector<std::string>& words, const std::string& key, std::string text) {
  const auto index = parse_u64(key);
  if (index && *index < words.size()) words[*index] = std::move(text);
}

}  // namespace

Json LateText::to_json() const { return late_fields().encode(this); }

LateText LateText::from_json(const Json& json) {
  LateText out;
  return late_fields().decode(json, &out, Reading::tolerant) ? out : LateText();
}

ServiceConfig with_endpoints(
    const ServiceConfig& config,
    const std::function<std::optional<std::string>(const std::string& service)>& host_of) {
  ServiceConfig out = config;
  for (const LateText& late : config.late) {
    std::string text;
    for (std::size_t i = 0; i < late.pieces.size(); ++i) {
      const LateText::Piece& piece = late.pieces[i];
      const bool colon = i + 1 < late.pieces.size() && late.pieces[i + 1].text.starts_with(':');
      const auto host = piece.service.empty() ? std::nullopt : host_of(piece.service);
      text += host ? placed(piece, *host, colon) : piece.text;
    }
    switch (late.place) {
      case LateText::Place::env:
        if (const auto it = out.env.find(late.key); it != out.env.end()) it->second = text;
        break;
      case LateText::Place::argv:
        put(out.argv, late.key, std::move(text));
        break;
      case LateText::Place::entrypoint:
        put(out.entrypoint, late.key, std::move(text));
        break;
      case LateText::Place::args:
        put(out.args, late.key, std::move(text));
        break;
      case LateText::Place::health:
        put(out.health.argv, late.key, std::move(text));
        break;
    }
  }
  return out;
}

}  // namespace project
}  // namespace locald
