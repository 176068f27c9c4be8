// docs/api.md, of the tables.
#include <algorithm>
#include <map>

#include "base/strings.h"
#include "ipc/messages/events.h"
#include "ipc/messages/look.h"
#include "ipc/messages/requests.h"

namespace locald::ipc {
namespace {

constexpr std::size_t kPageWidth = 100;

constexpr const char* kPageHead = R"(# The API of the server

This page is generated from the tables in `src/ipc/messages`, and a test holds it to them:
`LOCALD_RECORD=1 build/dev/src/ipc/ipc_test --gtest_filter='Requests.*Page*'` writes it again. How
requests and replies travel is said in `src/ipc/api.h`. The API is between programs of one build and
may change with each; [compatibility.md](compatibility.md) has what two builds can count on.

A request is `POST /v1/NAME` with one JSON object. A field that is not named here, and a value of
another type, is an error that names the place:

    request up: services[2]: must be a string, it is a number

Fields of a request that are not *required* may be missing. A reply may have fields that are not
named here: of a server of another build. What a service, a container or the like does not have is
null.
)";

/// Breaks a text at blanks.
std::string paragraph(const std::string& text) {
  std::string out, line;
  for (const std::string& word : split(text, ' ')) {
    if (!line.empty() && line.size() + 1 + word.size() > kPageWidth) {
      out += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return out + line + "\n";
}

std::string in_cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.insert(at, "\\");
  return text;
}

std::string table_of(const Fields& fields) {
  if (fields.all().empty()) return "It has no fields.\n";
  std::string out = "| field | type | |\n|---|---|---|\n";
  for (const Field& field : fields.all())
    out += "| `" + field.name + "` | " + in_cell(field.type_name()) +
           (field.presence == Field::Presence::required ? ", required" : "") + " | " +
           in_cell(field.doc) + " |\n";
  return out;
}

std::string section_of(const Fields& fields) {
  return "\n### " + fields.what() + "\n\n" + table_of(fields);
}

using Tables = std::vector<const Fields*>;

/// Adds the tables of the objects that stand in fields of `table`, and in theirs, each once.
void add_parts(const Fields& table, Tables& parts) {
  for (const Field& field : table.all()) {
    const fields::Type* type = field.type;
    while (type->item != nullptr) type = type->item;
    if (type->object == nullptr) continue;
    const Fields& part = type->object();
    if (std::find(parts.begin(), parts.end(), &part) != parts.end()) continue;
    parts.push_back(&part);
    add_parts(part, parts);
  }
}

/// A reply is described with the first request that has it.
std::string reply_of(const RequestInfo& request,
                     std::map<const Fields*, std::string_view>& described) {
  const Fields& reply = request.reply_fields();
  const std::string begin = request.streams ? "\nEvents, then the reply" : "\nIts reply";
  if (reply.all().empty()) return begin + ", which has no fields.\n";
  const auto [first, is_new] = described.emplace(&reply, request.name);
  return is_new ? begin + ":\n\n" + table_of(reply)
                : begin + " of `" + std::string(first->second) + "`.\n";
}

}  // namespace

std::string api_page() {
  std::string out = kPageHead;
  out += "\n## Requests\n";
  Tables parts, reply_parts;
  std::map<const Fields*, std::string_view> described;
  for (const RequestInfo& request : requests()) {
    out += "\n### " + std::string(request.name) + "\n\n";
    out += paragraph(std::string(request.doc)) + "\n";
    out += table_of(request.fields());
    out += reply_of(request, described);
    add_parts(request.fields(), parts);
    add_parts(request.reply_fields(), reply_parts);
  }
  out += "\n## Parts of requests\n";
  for (const Fields* part : parts) out += section_of(*part);
  out += "\n## Parts of replies\n";
  for (const Fields* part : reply_parts) out += section_of(*part);
  out += "\n## Events\n";
  for (const Fields* event :
       {&ProgressEvent::fields(), &NoticeEvent::fields(), &StateEvent::fields(),
        &SnapshotEvent::fields(), &ChangeEvent::fields()})
    out += section_of(*event);
  return out;
}

}  // namespace locald::ipc
