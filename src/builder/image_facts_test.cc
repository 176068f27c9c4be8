#include "builder/image_facts.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/sys/fs_at.h"

namespace locald::builder {
namespace {

ImageFacts sample() {
  ImageFacts facts;
  facts.root = {0, 0, 0755, true};
  facts.users = {.passwd = "root:x:0:0::/root:/bin/sh\n", .group = "root:x:0:\n", .problem = {}};
  facts.paths["/etc/hosts"] = {.kind = PathFacts::Kind::missing,
                               .resolved = "/etc/hosts",
                               .attributes = {},
                               .empty = false,
                               .ancestors = {{0, 0, 0755, true}}};
  facts.paths["/data"] = {.kind = PathFacts::Kind::folder,
                          .resolved = "/srv/data",
                          .attributes = {999, 998, 02770, false},
                          .empty = true,
                          .ancestors = {{1, 2, 01777, true}}};
  return facts;
}

TEST(ImageFacts, SurviveTheWayThroughTheirFile) {
  char dir[] = "/tmp/locald-facts-XXXXXX";
  ASSERT_NE(::mkdtemp(dir), nullptr);
  const std::string file = std::string(dir) + "/facts/abc";
  ASSERT_TRUE(sample().save(file, "root"));
  const auto again = ImageFacts::load(file, "root");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->paths, sample().paths);
  EXPECT_EQ(again->root, sample().root);
  EXPECT_EQ(again->users.passwd, sample().users.passwd);
  EXPECT_EQ(again->missing_of({"/data", "/new", "/etc/hosts"}), std::vector<std::string>{"/new"});

  EXPECT_FALSE(ImageFacts::load(file, "100000:65536")) << "owners of another id map";
  ASSERT_TRUE(write_file_atomic(file, "{\"map_id\":\"root\",\"format\":99}"));
  EXPECT_FALSE(ImageFacts::load(file, "root")) << "another format";
  ASSERT_TRUE(write_file_atomic(file, "{\"map_id\":\"ro"));
  EXPECT_FALSE(ImageFacts::load(file, "root")) << "half a file";
  ASSERT_TRUE(remove_tree(dir));
  EXPECT_FALSE(ImageFacts::load(file, "root"));
}

/// As every version has written it.
TEST(ImageFacts, OfARecordAreReadAndWrittenTheSame) {
  const std::string record =
      R"({"format":1,"root":[0,0,493,true],"passwd":"root:x:0:0::/root:/bin/sh\n",)"
      R"("group":"root:x:0:\n","problem":"","paths":{"/data":{"kind":"folder",)"
      R"("resolved":"/srv/data","attributes":[999,998,1528,false],"empty":true,)"
      R"("ancestors":[[1,2,1023,true]]},"/etc/hosts":{"kind":"missing","resolved":"/etc/hosts",)"
      R"("attributes":[0,0,493,true],"empty":false,"ancestors":[[0,0,493,true]]}}})";
  EXPECT_EQ(sample().to_json().dump(), record);
  Json json = *Json::parse(record);
  json.set("later", 1);
  const auto read = ImageFacts::from_json(json);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->paths, sample().paths);
  json.set("root", Json::array({0, 0}));
  EXPECT_FALSE(ImageFacts::from_json(json));
}

}  // namespace
}  // namespace locald::builder
