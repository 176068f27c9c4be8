#include "server/projects/own_changes.h"

#include <gtest/gtest.h>

namespace locald::server {
namespace {

using std::chrono::seconds;

TEST(OwnChanges, AFileThatChangesAfterEachStartIsTheServicesOwn) {
  OwnChanges own;
  for (std::size_t i = 1; i < OwnChanges::kSameFile; ++i)
    EXPECT_EQ(own.changed({"a.py", "out.py", std::to_string(i)}, seconds(1)), std::nullopt);
  EXPECT_EQ(own.changed({"b.py", "out.py"}, std::nullopt), "out.py");
  EXPECT_EQ(own.starts(), OwnChanges::kSameFile);
}

TEST(OwnChanges, OneThatComesLaterIsSomebodysElse) {
  OwnChanges own;
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(own.changed({"a.py"}, seconds(i % 4 == 0 ? 4 : 1)), std::nullopt) << i;
}

TEST(OwnChanges, ALongRowOfOthersIsItsOwnToo) {
  OwnChanges own;
  for (std::size_t i = 1; i < OwnChanges::kAnyFile; ++i)
    EXPECT_EQ(own.changed({std::to_string(i)}, seconds(1)), std::nullopt);
  EXPECT_EQ(own.changed({"last"}, seconds(1)), "last");
}

}  // namespace
}  // namespace locald::server
