// docs/api.md, of the tables.
#include "base/strings.h"
#include "ipc/messages/build.h"
#include "ipc/messages/common.h"
#include "ipc/messages/events.h"
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

Fields that are not *required* may be missing. An object in a reply may get more fields.
)";

/// Breaks a text at blanks.
std::string paragraph(const std::string& text, const std::string& indent = "") {
  std::string out, line = indent;
  for (const std::string& word : split(text, ' ')) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > kPageWidth) {
      out += line + "\n";
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + word;
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

}  // namespace

std::string api_page() {
  std::string out = kPageHead;
  out += "\n## Requests\n";
  for (const RequestInfo& request : requests()) {
    out += "\n### " + std::string(request.name) + "\n\n";
    out += paragraph(std::string(request.doc)) + "\n";
    out += table_of(request.fields());
    out += "\n" + std::string(request.streams ? "Events, then:" : "Result:") + "\n\n" +
           paragraph(std::string(request.reply), "    ");
  }
  out += "\n## Parts of requests\n";
  out += section_of(ProjectPlace::fields());
  out += section_of(AppFolder::fields());
  out += "\n## Events\n";
  for (const Fields* event :
       {&ProgressEvent::fields(), &NoticeEvent::fields(), &StateEvent::fields()})
    out += section_of(*event);
  return out;
}

}  // namespace locald::ipc
