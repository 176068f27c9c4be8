#include "server/projects/refreshed_values.h"

#include <gtest/gtest.h>

namespace locald::server {
namespace {

using project::CapturedValue;

const RefreshedValues::Captured kBefore = [](const std::string&, const std::string& name) {
  return std::optional(CapturedValue{name == "HOST" ? "h" : "old", true});
};
const project::Capture kNow{{"PASSWORD", {"new", true}}, {"HOST", {"h", true}}};
const project::Uses kUses{{"PASSWORD", {"web", "db", "gone"}}, {"HOST", {"db", "mail"}}};

TEST(RefreshedValues, ThoseThatWereNotAskedForAreToldNowAndThen) {
  RefreshedValues values;
  EXPECT_EQ(values.note(kNow, kUses, kBefore, {"db", "mail"}),
            (RefreshedValues::Notices{
                {"db", "keeps the earlier value of PASSWORD until the next `locald up`"}}));
  EXPECT_TRUE(values.take({"web"}, {{"web", "recreated: env"}}).empty());
  const RefreshedValues::Notices why{
      {"db", "recreated: `locald up --env-refresh` has changed PASSWORD, which it uses"}};
  EXPECT_EQ(values.take({"db", "mail"}, {{"db", "recreated: env"}, {"mail", "unchanged"}}), why);
  EXPECT_TRUE(values.take({"db"}, {{"db", "recreated: env"}}).empty()) << "said once";
}

TEST(RefreshedValues, OneThatIsAsBeforeAllTheSameIsNotTold) {
  RefreshedValues values;
  (void)values.note(kNow, kUses, kBefore, {"db"});
  EXPECT_TRUE(values.take({"db"}, {{"db", "unchanged"}}).empty());
  EXPECT_TRUE(values.take({"db"}, {{"db", "recreated: command"}}).empty());
}

}  // namespace
}  // namespace locald::server
