#include "base/sys/mount_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/sys/sys.h"

namespace locald {
namespace {

TEST(MountTable, ReadsWhatIsMountedWhere) {
  const MountTable table = MountTable::parse(
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
      "36 22 8:1 /home/u\\040x /mnt/a\\011b rw - ext4 /dev/sda1 rw\n"
      "nonsense\n"
      "40 22 0:30 /");
  ASSERT_EQ(table.mounts().size(), 2u);
  EXPECT_EQ(table.mounts()[0].id, 22u);
  EXPECT_EQ(table.mounts()[1].root.device, "8:1");
  EXPECT_EQ(table.mounts()[1].root.path, "/home/u x");
  EXPECT_EQ(table.mounts()[1].point, "/mnt/a\tb");
}

TEST(MountTable, APlaceIsWithinItselfAndWhatIsAbove) {
  const Place folder{"8:1", "/a/b"};
  EXPECT_TRUE(folder.within({"8:1", "/a/b"}));
  EXPECT_TRUE(folder.within({"8:1", "/a"}));
  EXPECT_TRUE(folder.within({"8:1", "/"}));
  EXPECT_FALSE(folder.within({"8:2", "/a"}));
  EXPECT_FALSE(folder.within({"8:1", "/a/b/c"}));
  EXPECT_FALSE((Place{"8:1", "/ab"}.within({"8:1", "/a"})));
}

TEST(MountTable, KnowsWhereADescriptorLies) {
  char name[] = "/tmp/locald-place-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const MountTable table = MountTable::read().value();
  const UniqueFd tmp = sys::open("/tmp", O_PATH).value(), folder = sys::open(name, O_PATH).value();
  const Place outer = table.place_of(tmp.get()).value(),
              inner = table.place_of(folder.get()).value();
  EXPECT_TRUE(inner.within(outer)) << inner.path << " " << outer.path;
  EXPECT_FALSE(outer.within(inner));
  const UniqueFd root = sys::open("/", O_PATH).value();
  EXPECT_TRUE(table.place_of(root.get()));
  EXPECT_EQ(::rmdir(name), 0);
}

}  // namespace
}  // namespace locald
