#include "cnb/inputs/project_descriptor.h"

#include <gtest/gtest.h>

namespace locald::cnb {
namespace {

ParsedDescriptor parse(std::string_view text) {
  return parse_project_descriptor(text, "/p/project.toml");
}

/// The descriptor of a text without problems and warnings.
ProjectDescriptor good(std::string_view text) {
  ParsedDescriptor parsed = parse(text);
  EXPECT_EQ(describe(parsed.problems), "") << text;
  EXPECT_EQ(describe(parsed.descriptor.warnings), "") << text;
  return std::move(parsed.descriptor);
}

std::string problems(std::string_view text) { return describe(parse(text).problems); }
std::string warnings(std::string_view text) {
  const ParsedDescriptor parsed = parse(text);
  EXPECT_EQ(describe(parsed.problems), "") << text;
  return describe(parsed.descriptor.warnings);
}

/// The problem of one entry of a group.
std::string entry(const std::string& body) {
  return problems("[_]\nschema-version = '0.2'\n[[io.buildpacks.group]]\n" + body);
}

std::vector<std::string> texts(const std::vector<PlacedText>& words) {
  std::vector<std::string> out;
  for (const PlacedText& w : words) out.push_back(w.text);
  return out;
}

TEST(ProjectDescriptor, ReadsAllOfSchema02) {
  const auto d = good(R"([_]
schema-version = "0.2"
id = "com.example.shop"
name = "Shop"
version = "1.4"
authors = ["A <a@example.com>"]
documentation-url = "https://example.com/docs"
source-url = "https://example.com/shop.git"
[[_.licenses]]
type = "MIT"
[_.metadata]
any.thing = [1, 2]

[io.buildpacks]
builder = "example.com/builder:jammy"
include = ["cmd/", "*.go"]

[[io.buildpacks.group]]
id = "example/node"
version = "1.2.3"

[[io.buildpacks.group]]
uri = "docker://example.com/bp"

[[io.buildpacks.group]]
id = "example/builders-own"

[[io.buildpacks.group]]
id = "me/hello"
  [io.buildpacks.group.script]
  api = "0.10"
  inline = "echo hello"

[[io.buildpacks.pre.group]]
uri = "./first"

[[io.buildpacks.post.group]]
id = "me/last"
  [io.buildpacks.post.group.script]
  api = "0.9"
  shell = "/bin/bash"
  inline = """
echo bye
"""

[[io.buildpacks.build.env]]
name = "JAVA_OPTS"
value = "-Xmx1g"

[other.tool]
keep = true
)");
  EXPECT_EQ(d.schema, "0.2");
  EXPECT_EQ(d.id, "com.example.shop");
  EXPECT_EQ(d.name, "Shop");
  EXPECT_EQ(d.metadata["any"]["thing"].as_array().size(), 2u);
  EXPECT_EQ(d.builder.text, "example.com/builder:jammy");
  EXPECT_EQ(d.builder.at, (SourcePos{15, 11}));
  EXPECT_EQ(texts(d.include), (std::vector<std::string>{"cmd/", "*.go"}));
  EXPECT_EQ(d.include[1].at, (SourcePos{16, 20}));
  EXPECT_TRUE(d.exclude.empty());
  ASSERT_EQ(d.groups.size(), 4u);
  EXPECT_EQ(d.groups[0].id, "example/node");
  EXPECT_EQ(d.groups[0].version, "1.2.3");
  EXPECT_EQ(d.groups[0].at, (SourcePos{18, 1}));
  EXPECT_TRUE(std::holds_alternative<ImageName>(*d.groups[1].uri));
  EXPECT_EQ(d.groups[1].uri_at, (SourcePos{23, 7}));
  EXPECT_EQ(d.groups[2].version, "");
  EXPECT_EQ(d.groups[3].script->body, "echo hello");
  EXPECT_EQ(d.groups[3].script->shell, "/bin/sh");
  ASSERT_EQ(d.pre.size(), 1u);
  EXPECT_EQ(*d.pre[0].uri, BuildpackUri(LocalPath{"./first"}));
  ASSERT_EQ(d.post.size(), 1u);
  EXPECT_EQ(d.post[0].script->api, "0.9");
  EXPECT_EQ(d.post[0].script->shell, "/bin/bash");
  EXPECT_EQ(d.post[0].script->body, "echo bye\n");
  ASSERT_EQ(d.build_env.size(), 1u);
  EXPECT_EQ(d.build_env[0].name, "JAVA_OPTS");
  EXPECT_EQ(d.build_env[0].value, "-Xmx1g");
  EXPECT_EQ(
      d.source()->dump(),
      R"({"type":"project","version":{"declared":"1.4"},"metadata":{"url":"https://example.com/shop.git"}})");
}

TEST(ProjectDescriptor, ReadsSchema01WithAndWithoutItsName) {
  const std::string body = R"(
[project]
id = "x"
name = "gallant"
version = "1.0.2"
source-url = "https://example.com"
[[project.licenses]]
uri = "https://example.com/license"
[build]
exclude = ["*.jar"]
builder = "example.com/b"
[[build.buildpacks]]
id = "example/lua"
version = "1.0"
[[build.buildpacks]]
uri = "https://example.com/buildpack"
[[build.env]]
name = "A"
value = "b"
[[build.pre.group]]
id = "example/first"
[metadata]
pipeline = "Lucerne"
)";
  for (const std::string& head : {std::string(), std::string("[_]\nschema-version = '0.1'\n")}) {
    const auto d = good(head + body);
    EXPECT_EQ(d.schema, "0.1");
    EXPECT_EQ(d.name, "gallant");
    EXPECT_EQ(d.version, "1.0.2");
    EXPECT_EQ(texts(d.exclude), (std::vector<std::string>{"*.jar"}));
    EXPECT_EQ(d.builder.text, "example.com/b");
    ASSERT_EQ(d.groups.size(), 2u);
    EXPECT_EQ(d.groups[0].id, "example/lua");
    EXPECT_TRUE(std::holds_alternative<RemoteArchive>(*d.groups[1].uri));
    ASSERT_EQ(d.build_env.size(), 1u);
    ASSERT_EQ(d.pre.size(), 1u);
    EXPECT_EQ(d.metadata["pipeline"].as_string(), "Lucerne");
  }
}

TEST(ProjectDescriptor, ReadsExecutionEnvironmentsOfSchema03) {
  const std::string body = R"(
[[io.buildpacks.group]]
id = "example/agent"
version = "latest"
exec-env = ["production"]
[[io.buildpacks.build.env]]
name = "A"
value = "b"
exec-env = ["test", "development"]
)";
  const auto d = good("[_]\nschema-version = '0.3'\n" + body);
  EXPECT_EQ(d.groups[0].exec_env, (std::vector<std::string>{"production"}));
  EXPECT_EQ(d.build_env[0].exec_env, (std::vector<std::string>{"test", "development"}));
  EXPECT_EQ(
      warnings("[_]\nschema-version = '0.2'\n" + body),
      "/p/project.toml:7:12: the key `exec-env` in [[io.buildpacks.group]] is unknown, and left "
      "out (it needs schema-version = \"0.3\")\n"
      "/p/project.toml:11:12: the key `exec-env` in [[io.buildpacks.build.env]] is unknown, and "
      "left out (it needs schema-version = \"0.3\")");
  EXPECT_EQ(problems("[_]\nschema-version = '0.3'\n[[io.buildpacks.group]]\nid='a/b'\nexec-env = "
                     "['a/b', 1]\n"),
            "/p/project.toml:5:13: `exec-env`: invalid execution environment \"a/b\" (such as "
            "\"production\", \"test\" or \"development\")\n"
            "/p/project.toml:5:20: `exec-env` must be an array of strings, but holds a number");
}

TEST(ProjectDescriptor, AnEmptyFileSaysNothing) {
  const auto d = good("");
  EXPECT_EQ(d.schema, "0.1");
  EXPECT_FALSE(d.source());
  EXPECT_TRUE(d.groups.empty() && d.build_env.empty() && d.builder.empty());
  EXPECT_TRUE(good("[_]\nschema-version = '0.2'\n").metadata.is_nothing());
}

TEST(ProjectDescriptor, RefusesSchemasThatItDoesNotKnow) {
  EXPECT_EQ(problems("[_]\nschema-version = '0.4'\n"),
            "/p/project.toml:2:18: the schema version 0.4 is not supported (known are 0.1, 0.2 and "
            "0.3)");
  EXPECT_EQ(problems("[_]\nschema-version = '1'\n"),
            "/p/project.toml:2:18: the schema version 1 is not supported (known are 0.1, 0.2 and "
            "0.3)");
  EXPECT_EQ(
      problems("[_]\nschema-version = 'new'\n"),
      "/p/project.toml:2:18: `schema-version`: invalid version \"new\" (for example \"0.2\")");
  EXPECT_EQ(problems("[_]\nschema-version = 0.2\n"),
            "/p/project.toml:2:18: `schema-version` must be a string, not a number (put it in "
            "quotes)");
  EXPECT_EQ(problems("_ = 1"), "/p/project.toml:1:5: `_` must be a table, not a number");
}

TEST(ProjectDescriptor, SaysWhatBrokenTomlIs) {
  EXPECT_TRUE(problems("[_]\na = = 1\n").starts_with("/p/project.toml:2:5: not TOML: "));
}

TEST(ProjectDescriptor, FindsAllProblemsAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(problems(R"([_]
schema-version = "0.2"
id = 7
licenses = [{}]
[io.buildpacks]
builder = "Not An Image"
include = "x"
exclude = [1]
[[io.buildpacks.build.env]]
value = "no name"
[[io.buildpacks.build.env]]
name = "A=B"
value = "x"
)"),
            "/p/project.toml:3:6: `id` must be a string, not a number (put it in quotes)\n"
            "/p/project.toml:4:13: a license has neither `type` nor `uri`\n"
            "/p/project.toml:6:11: `builder`: image reference \"Not An Image\": a blank in "
            "it\n"
            "/p/project.toml:7:11: `include` must be an array of strings, not a string\n"
            "/p/project.toml:8:11: `include` and `exclude` are both there (say either what is sent "
            "or what is not)\n"
            "/p/project.toml:8:12: `exclude` must be an array of strings, but holds a number\n"
            "/p/project.toml:9:1: a variable in [[io.buildpacks.build.env]] has no `name`\n"
            "/p/project.toml:12:8: \"A=B\" cannot be the name of a variable");
}

TEST(ProjectDescriptor, AnEmptyListWithTheOtherOneIsStillBoth) {
  EXPECT_NE(problems("[build]\ninclude = []\nexclude = ['a']\n"), "");
  EXPECT_EQ(problems("[build]\ninclude = []\n"), "");
}

TEST(ProjectDescriptor, AnEntrySaysOnceWhereItsBuildpackComesFrom) {
  EXPECT_EQ(entry("id = 'a/b'\n"), "");
  EXPECT_EQ(entry("id = 'a/b'\nuri = './x'\n"), "");
  EXPECT_EQ(entry("id = 'a/b'\nversion = '1'\nuri = './x'\n"),
            "/p/project.toml:3:1: the buildpack has `version` and `uri` (one of them says where it "
            "comes from)");
  EXPECT_EQ(entry("id = 'a/b'\nversion = '1'\nscript = {api='0.10', inline='x'}\n"), "");
  EXPECT_EQ(entry("uri = './x'\nscript = {api='0.10', inline='x'}\n"),
            "/p/project.toml:3:1: the buildpack has `uri` and `script` (one of them says where it "
            "comes from)");
  EXPECT_EQ(entry(""),
            "/p/project.toml:3:1: the buildpack in [[io.buildpacks.group]] has no `id` and no "
            "`uri`");
  EXPECT_EQ(entry("version = '1'\n"),
            "/p/project.toml:3:1: the buildpack in [[io.buildpacks.group]] has no `id`");
  EXPECT_EQ(entry("script = {api='0.10', inline='x'}\n"),
            "/p/project.toml:3:1: the buildpack in [[io.buildpacks.group]] has no `id`");
  EXPECT_EQ(
      entry("id = '../../etc'\n"),
      "/p/project.toml:4:6: `id`: invalid buildpack id \"../../etc\": a part of it is \"..\"");
  EXPECT_EQ(entry("id = 'a/b'\nversion = ''\n"),
            "/p/project.toml:5:11: `version` is empty (without it the newest is taken)");
  EXPECT_EQ(
      entry("uri = 'http://example.com/x.tgz'\n"),
      "/p/project.toml:4:7: `uri`: \"http://example.com/x.tgz\" is not https (what it sends is "
      "run: use https)");
  EXPECT_EQ(problems("[build]\nbuildpacks = ['a/b']\n"),
            "/p/project.toml:2:15: `buildpacks` must be an array of tables, but holds a string");
}

TEST(ProjectDescriptor, TheBuildersOrderStandsOnceInAGroup) {
  EXPECT_EQ(entry("id='a/b'\n[[io.buildpacks.group]]\nuri = 'from=builder'\n"), "");
  EXPECT_EQ(entry("uri = 'from=builder'\n[[io.buildpacks.group]]\nuri = 'from=builder'\n"),
            "/p/project.toml:6:7: `uri`: the builder's order can be there once");
  EXPECT_EQ(entry("id='a/b'\n[[io.buildpacks.pre.group]]\nuri = 'from=builder'\n"),
            "/p/project.toml:6:7: `uri`: the builder's order cannot be put before or after itself "
            "(from=builder is for a group)");
}

TEST(ProjectDescriptor, AScriptNeedsAnApiAndItsText) {
  EXPECT_EQ(entry("id = 'a/b'\nscript = {}\n"),
            "/p/project.toml:5:10: the script has no `api` (the Buildpack API it is written for, "
            "such as \"0.10\")\n"
            "/p/project.toml:5:10: the script has no `inline`");
  EXPECT_EQ(entry("id = 'a/b'\nscript = {api='new', shell='bash', inline='x'}\n"),
            "/p/project.toml:5:15: `api`: invalid version \"new\" (for example \"0.10\")\n"
            "/p/project.toml:5:28: `shell` is not the absolute path of a program (for example "
            "\"/bin/bash\")");
  EXPECT_NE(entry("id = 'a/b'\nscript = {api='0.10', shell=\"/bin/sh\\n#!x\", inline='x'}\n"), "");
  EXPECT_NE(entry("id = 'a/b'\nscript = 'x'\n"), "");
}

TEST(ProjectDescriptor, KeysThatNobodyReadsAreWarnings) {
  EXPECT_EQ(
      warnings(R"([_]
schema-version = "0.2"
versions = "0.1"
[[_.licenses]]
type = "foo"
foo = "bar"
[_.metadata]
foo = "bar"
[io.buildpacks]
exlude = ["x"]
[[io.buildpacks.build.foo]]
name = "something"
[[io.buildpacks.group]]
id = "a/b"
optional = true
[io.docker]
file = "./Dockerfile"
)"),
      "/p/project.toml:3:12: the key `versions` in [_] is unknown, and left out (did you mean "
      "`version`?)\n"
      "/p/project.toml:6:7: the key `foo` in [[licenses]] is unknown, and left out (known "
      "here: type, uri)\n"
      "/p/project.toml:10:10: the key `exlude` in [io.buildpacks] is unknown, and left out "
      "(did you mean `exclude`?)\n"
      "/p/project.toml:11:1: the key `foo` in [io.buildpacks.build] is unknown, and left out "
      "(known here: env)\n"
      "/p/project.toml:15:12: the key `optional` in [[io.buildpacks.group]] is unknown, and "
      "left out (known here: id, script, uri, version)");
}

TEST(ProjectDescriptor, TablesOfAnotherSchemaAreWarnings) {
  EXPECT_EQ(warnings("[io.buildpacks]\nbuilder = 'b'\n"),
            "/p/project.toml:1:1: [io.buildpacks] is left out: the file names no schema-version, "
            "which means 0.1 (it needs schema-version = \"0.2\" in [_])");
  EXPECT_EQ(warnings("[_]\nschema-version = '0.2'\n[build]\nexclude = ['a']\n"),
            "/p/project.toml:3:1: [build] is left out: it is of schema 0.1, and the file of 0.2 "
            "(its place is [io.buildpacks])");
  EXPECT_EQ(warnings("[_]\nschema-version = '0.2'\n[build]\nof = 'another tool'\n"), "");
}

TEST(ProjectDescriptor, ReadsTheOldNameOfTheEnvironment) {
  const std::string head = "[_]\nschema-version = '0.2'\n";
  const std::string old = "[[io.buildpacks.env.build]]\nname = 'A'\nvalue = 'old'\n";
  auto parsed = parse(head + old);
  ASSERT_EQ(parsed.descriptor.build_env.size(), 1u) << describe(parsed.problems);
  EXPECT_EQ(parsed.descriptor.build_env[0].value, "old");
  EXPECT_EQ(describe(parsed.descriptor.warnings),
            "/p/project.toml:3:1: `env.build` is an old name (its place is "
            "[[io.buildpacks.build.env]])");
  parsed = parse(head + old + "[[io.buildpacks.build.env]]\nname = 'A'\nvalue = 'new'\n");
  ASSERT_EQ(parsed.descriptor.build_env.size(), 1u);
  EXPECT_EQ(parsed.descriptor.build_env[0].value, "new");
  EXPECT_EQ(parsed.descriptor.warnings.size(), 1u);
  // 0.3 has no such name.
  parsed = parse("[_]\nschema-version = '0.3'\n" + old);
  EXPECT_TRUE(parsed.descriptor.build_env.empty());
  EXPECT_EQ(parsed.descriptor.warnings.size(), 1u);
}

TEST(ProjectDescriptor, AVariableWithoutAValueIsEmptyAndSaidSo) {
  const auto parsed = parse("[[build.env]]\nname = 'A'\n");
  EXPECT_EQ(describe(parsed.problems), "");
  ASSERT_EQ(parsed.descriptor.build_env.size(), 1u);
  EXPECT_EQ(describe(parsed.descriptor.warnings),
            "/p/project.toml:1:1: the variable `A` has no `value`, and is empty");
}

TEST(ProjectDescriptor, GivesASourceWhereOneIsDeclared) {
  EXPECT_EQ(good("[project]\nversion = '1'\n").source()->dump(),
            R"({"type":"project","version":{"declared":"1"},"metadata":{"url":""}})")
      << "both members are there, as in pack's";
  EXPECT_EQ(good("[project]\nsource-url = 'u'\n").source()->dump(),
            R"({"type":"project","version":{"declared":""},"metadata":{"url":"u"}})");
}

}  // namespace
}  // namespace locald::cnb
