// Of all requests: what a strict reader refuses, and the page that describes them.
#include "ipc/messages/requests.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <set>

#include "base/source_dir.h"
#include "base/sys/fs_at.h"
#include "ipc/messages/project.h"

namespace locald::ipc {
namespace {

using fields::Type;
using Kind = Type::Kind;

/// A value that a field of the type takes.
Json good(const Field& field, const Type& type) {
  switch (type.kind) {
    case Kind::boolean:
      return true;
    case Kind::integer:
      return 1;
    case Kind::real:
      return 1.5;
    case Kind::text:
      return field.absolute ? "/x" : "x";
    case Kind::words:
      return type.words[0];
    case Kind::json:
      return Json::object({{"x", 1}});
    case Kind::optional:
      return good(field, *type.item);
    case Kind::list:
      return Json::array({good(field, *type.item)});
    case Kind::map: {
      Json out = Json::object();
      out.set("k", good(field, *type.item));
      return out;
    }
    case Kind::object: {
      Json out = Json::object();
      for (const Field& member : type.object().all())
        out.set(member.name, good(member, *member.type));
      return out;
    }
  }
  return {};
}

/// Values that it does not take, each with the place in the field: "", "[0]", ".k".
std::vector<std::pair<Json, std::string>> bad(const Type& type) {
  const auto with = [](Json value, const std::string& place) {
    return std::vector<std::pair<Json, std::string>>{{std::move(value), place}};
  };
  switch (type.kind) {
    case Kind::boolean:
      return {{"true", ""}, {1, ""}, {nullptr, ""}};
    case Kind::integer:
    case Kind::real:
      return {{"1", ""}, {true, ""}, {Json::array(), ""}};
    case Kind::text:
    case Kind::words:
      return {{7, ""}, {false, ""}, {Json::object(), ""}, {nullptr, ""}};
    case Kind::json:
      return {};
    case Kind::optional: {
      auto out = bad(*type.item);
      std::erase_if(out, [](const auto& value) { return value.first.is_null(); });
      return out;
    }
    case Kind::list:
    case Kind::map: {
      auto out = with("x", "");
      const bool list = type.kind == Kind::list;
      out.emplace_back(list ? Json::object() : Json::array(), "");
      for (auto& [value, place] : bad(*type.item)) {
        Json whole = list ? Json::array({value}) : Json::object({{"k", value}});
        out.emplace_back(std::move(whole), (list ? "[0]" : ".k") + place);
      }
      return out;
    }
    case Kind::object: {
      auto out = with("x", "");
      Json whole = Json::object();
      for (const Field& field : type.object().all())
        whole.set(field.name, good(field, *field.type));
      for (const Field& field : type.object().all())
        for (auto& [value, place] : bad(*field.type)) {
          Json other = whole;
          other.set(field.name, value);
          out.emplace_back(std::move(other), "." + field.name + place);
        }
      return out;
    }
  }
  return {};
}

Json whole(const Fields& fields) {
  Json out = Json::object();
  for (const Field& field : fields.all()) out.set(field.name, good(field, *field.type));
  return out;
}
Json whole(const RequestInfo& request) { return whole(request.fields()); }

std::string refusal(const RequestInfo& request, const Json& body) {
  const auto read = request.read(body, Reading::strict);
  return read ? "taken: " + body.dump() : read.error().message();
}

TEST(Requests, AWholeOneIsReadAndWrittenTheSame) {
  for (const RequestInfo& request : requests()) {
    const auto read = request.read(whole(request), Reading::strict);
    ASSERT_TRUE(read) << read.error().text();
    const auto again = request.read(*read, Reading::strict);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(read->dump(), again->dump());
  }
}

TEST(Requests, AWholeReplyIsReadAndWrittenTheSame) {
  for (const RequestInfo& request : requests()) {
    const auto read = request.read_reply(whole(request.reply_fields()), Reading::strict);
    ASSERT_TRUE(read) << request.name << ": " << read.error().text();
    const auto again = request.read_reply(*read, Reading::strict);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(read->dump(), again->dump());
  }
}

/// A server of another build sends more, less, and null for what does not apply.
TEST(Requests, AReplyOfAnotherServerIsRead) {
  for (const RequestInfo& request : requests()) {
    Json more = whole(request.reply_fields()), nulls = Json::object();
    more.set("no_such", 1);
    for (const Field& field : request.reply_fields().all()) nulls.set(field.name, Json());
    EXPECT_FALSE(request.read_reply(more, Reading::strict)) << request.name;
    for (const Json& reply : {more, nulls, Json::object()})
      EXPECT_TRUE(request.read_reply(reply, Reading::tolerant)) << request.name;
  }
}

TEST(Requests, AWrongTypeOfEachFieldIsRefusedWithItsPlace) {
  std::size_t tried = 0;
  for (const RequestInfo& request : requests())
    for (const Field& field : request.fields().all())
      for (const auto& [value, place] : bad(*field.type)) {
        Json body = whole(request);
        body.set(field.name, value);
        const std::string begin =
            "request " + std::string(request.name) + ": " + field.name + place + ": must be ";
        const std::string message = refusal(request, body);
        EXPECT_EQ(message.substr(0, begin.size()), begin) << message;
        ++tried;
      }
  EXPECT_GT(tried, 500u);
}

TEST(Requests, AnUnknownFieldIsRefusedEverywhere) {
  for (const RequestInfo& request : requests()) {
    Json body = whole(request);
    body.set("no_such", 1);
    EXPECT_EQ(refusal(request, body),
              "request " + std::string(request.name) + ": unknown field \"no_such\"");
    EXPECT_TRUE(request.read(body, Reading::tolerant));
    for (const Field& field : request.fields().all()) {
      const Type* type = field.type->kind == Kind::optional ? field.type->item : field.type;
      if (type->kind != Kind::object) continue;
      Json inner = good(field, *type);
      inner.set("no_such", 1);
      body = whole(request);
      body.set(field.name, inner);
      EXPECT_EQ(refusal(request, body), "request " + std::string(request.name) + ": " + field.name +
                                            ": unknown field \"no_such\"");
    }
  }
}

TEST(Requests, WhatIsRequiredIsMissedWithItsPlace) {
  for (const RequestInfo& request : requests())
    for (const Field& field : request.fields().all()) {
      if (field.presence != Field::Presence::required) continue;
      Json body = Json::object();
      for (const Field& other : request.fields().all())
        if (other.name != field.name) body.set(other.name, good(other, *other.type));
      EXPECT_EQ(refusal(request, body),
                "request " + std::string(request.name) + ": " + field.name + ": missing");
    }
}

TEST(Requests, ATypoNamesTheFieldThatWasMeant) {
  const auto read = decode<UpRequest>(
      *Json::parse(R"({"project": {"dir": "/"}, "servces": ["web"]})"), Reading::strict);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message(), "request up: unknown field \"servces\"");
  EXPECT_EQ(read.error().hint(), "did you mean \"services\"?");
}

TEST(Requests, ARelativePathIsRefused) {
  EXPECT_EQ(decode<DownRequest>(*Json::parse(R"({"project": {"dir": "x"}})")).error().message(),
            "request down: project.dir: must be an absolute path, it is \"x\"");
}

/// What an earlier CLI sends, which has no tables: nulls, and fields that are gone.
TEST(Requests, ThoseOfEarlierClientsAreUnderstood) {
  const auto up = decode<UpRequest>(
      *Json::parse(R"({"project": {"dir": "/d", "file": null, "name": null}, "services": [],
                       "env": {"A": "b"}, "umask": 2, "rlimits": {"NOFILE": [1024, null]},
                       "login_files": ["/l"], "env_refresh": false, "wait": true,
                       "timeout_ms": null})"),
      Reading::tolerant);
  ASSERT_TRUE(up) << up.error().text();
  EXPECT_EQ(up->world.umask, 2u);
  EXPECT_EQ(up->world.rlimits.at("NOFILE")[1], std::nullopt);
  EXPECT_FALSE(up->timeout);
  const auto exec = decode<ExecRequest>(
      *Json::parse(R"({"project": {"dir": "/d"}, "service": "web", "argv": ["x"], "user": null,
                       "cwd": null, "stdin": true, "rows": 50, "columns": 132, "later": {}})"),
      Reading::tolerant);
  ASSERT_TRUE(exec) << exec.error().text();
  EXPECT_EQ(exec->size.rows, 50);
}

TEST(Requests, EachHasAName) {
  std::set<std::string_view> names;
  for (const RequestInfo& request : requests()) {
    EXPECT_TRUE(names.insert(request.name).second) << request.name;
    EXPECT_EQ(request.fields().what(), "request " + std::string(request.name));
    EXPECT_FALSE(request.doc.empty());
    EXPECT_TRUE(request.reply_fields().what().starts_with("reply")) << request.name;
    for (const Fields* fields : {&request.fields(), &request.reply_fields()})
      for (const Field& field : fields->all())
        EXPECT_FALSE(field.doc.empty()) << request.name << " " << field.name;
  }
}

TEST(Requests, ThePageIsThatOfTheTables) {
  const std::string path = std::string(LOCALD_SOURCE_DIR) + "/docs/api.md";
  if (::getenv("LOCALD_RECORD") != nullptr) {
    ASSERT_TRUE(write_file_atomic(path, api_page(), 0644));
  }
  const auto page = read_file(path);
  ASSERT_TRUE(page) << page.error().text();
  EXPECT_TRUE(*page == api_page())
      << "docs/api.md is not what the tables say: LOCALD_RECORD=1 ipc_test "
         "--gtest_filter='Requests.*Page*' writes it";
}

}  // namespace
}  // namespace locald::ipc
