#include "builder/mount_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace locald::builder {
namespace {

using MountKind = VolumeMount::Kind;

ImageFacts facts_of(const MountPlan& plan) {
  ImageFacts facts;
  for (const std::string& path : plan.interesting_paths())
    facts.paths[path] = {.kind = PathFacts::Kind::missing,
                         .resolved = path,
                         .attributes = {},
                         .empty = false,
                         .ancestors = {}};
  for (const char* path : {"/dev", "/proc", "/sys"})
    facts.paths[path].kind = PathFacts::Kind::folder;
  return facts;
}

ContainerOptions with(std::vector<VolumeMount> mounts) {
  ContainerOptions options;
  options.mounts = std::move(mounts);
  return options;
}

TEST(MountPlan, AnImageMayNotHaveVolumesWithoutEnd) {
  oci::ImageConfig image;
  for (int i = 0; i < 100000; ++i) image.volumes.push_back("/v" + std::to_string(i));
  EXPECT_EQ(MountPlan::make({}, image).error().message(),
            "the image has 100000 VOLUMEs; at most 1000 are mounted");
}

TEST(MountPlan, TakesTheImagesVolumesThatTheUserDidNotReplace) {
  oci::ImageConfig image;
  image.volumes = {"/data", "/log", "/proc", "relative"};
  const MountPlan plan = MountPlan::make(with({{MountKind::named, "d", "/data"}}), image).value();
  ASSERT_EQ(plan.mounts.size(), 2u);
  EXPECT_EQ(plan.mounts[0].source, "d");
  EXPECT_EQ(plan.mounts[1].asked, "/log");
  EXPECT_EQ(plan.mounts[1].source, "");
}

TEST(MountPlan, RefusesPlacesThatAreTheKernels) {
  for (const char* target :
       {"/", "/proc", "/proc/sys", "/sys/fs", "/dev", "/dev/pts", "/dev/pts/0"}) {
    const auto plan = MountPlan::make(with({{MountKind::tmpfs, "", target}}), {});
    ASSERT_FALSE(plan) << target;
    EXPECT_EQ(plan.error().code(), Errc::denied) << target;
  }
  EXPECT_TRUE(MountPlan::make(with({{MountKind::tmpfs, "", "/dev/shm"}}), {}));
  EXPECT_TRUE(MountPlan::make(with({{MountKind::tmpfs, "", "/processes"}}), {}));
}

TEST(MountPlan, RefusesTwoMountsAtOnePlace) {
  EXPECT_FALSE(
      MountPlan::make(with({{MountKind::tmpfs, "", "/t"}, {MountKind::named, "x", "/t/"}}), {}));
}

TEST(MountPlan, FollowsTheImagesSymlinksInsideTheRoot) {
  MountPlan plan =
      MountPlan::make(
          with({{MountKind::named, "x", "/var/run/x"}, {MountKind::named, "y", "/var/run/x/y"}}),
          {})
          .value();
  ImageFacts facts = facts_of(plan);
  EXPECT_EQ(facts.find("/var/run/x/y"), nullptr)
      << "what lies in a mount is not looked for in the image";
  facts.paths["/var/run/x"].resolved = "/run/x";
  facts.paths["/etc/resolv.conf"].resolved = "/run/systemd/resolve/stub-resolv.conf";
  ASSERT_TRUE(plan.settle(facts));
  EXPECT_EQ(plan.mounts[0].target, "/run/x");
  EXPECT_EQ(plan.mounts[1].target, "/run/x/y");
  EXPECT_EQ(plan.own_files[2].second, "/run/systemd/resolve/stub-resolv.conf");
}

TEST(MountPlan, RefusesAnImageThatLeadsAstray) {
  const auto settled = [](const std::function<void(ImageFacts&)>& change) {
    MountPlan plan = MountPlan::make(with({{MountKind::named, "x", "/x"}}), {}).value();
    ImageFacts facts = facts_of(plan);
    change(facts);
    return plan.settle(facts);
  };
  EXPECT_TRUE(settled([](ImageFacts&) {}));
  EXPECT_EQ(settled([](ImageFacts& f) { f.paths["/proc"].resolved = "/fake"; }).error().code(),
            Errc::denied);
  EXPECT_EQ(
      settled([](ImageFacts& f) { f.paths["/dev"].kind = PathFacts::Kind::file; }).error().code(),
      Errc::denied);
  EXPECT_EQ(settled([](ImageFacts& f) { f.paths["/x"].resolved = "/proc/self"; }).error().code(),
            Errc::denied);
  EXPECT_EQ(
      settled([](ImageFacts& f) { f.paths["/x"].kind = PathFacts::Kind::file; }).error().code(),
      Errc::invalid_input);
  EXPECT_EQ(settled([](ImageFacts& f) { f.paths["/etc/hosts"].kind = PathFacts::Kind::folder; })
                .error()
                .code(),
            Errc::denied);
  EXPECT_EQ(
      settled([](ImageFacts& f) { f.paths["/etc/hosts"].resolved = "/proc/1/mem"; }).error().code(),
      Errc::denied);
}

TEST(MountPlan, PutsOurFilesIntoAVolumeThatIsMountedOverEtc) {
  const auto plan = [](VolumeMount mount) { return MountPlan::make(with({mount}), {}).value(); };
  const std::vector<std::string> all = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"};
  for (const MountKind kind : {MountKind::named, MountKind::tmpfs}) {
    const MountPlan over = plan({kind, "v", "/etc"});
    EXPECT_EQ(over.files_in_volume, all);
    EXPECT_TRUE(over.own_files.empty());
    VolumeMount closed{kind, "v", "/etc"};
    closed.read_only = true;
    EXPECT_TRUE(plan(closed).files_in_volume.empty());
  }
  EXPECT_TRUE(plan({MountKind::named, "v", "/etc/mysql"}).files_in_volume.empty());
  EXPECT_EQ(plan({MountKind::named, "v", "/etc/mysql"}).own_files.size(), 3u);
  EXPECT_TRUE(plan({MountKind::named, "v", "/etc/hosts"}).files_in_volume.empty());
}

TEST(MountPlan, LeavesOurFilesOutWhereTheUserMountsOverEtc) {
  const MountPlan bound = MountPlan::make(with({{MountKind::bind, "/srv", "/etc"}}), {}).value();
  EXPECT_TRUE(bound.own_files.empty());
  EXPECT_TRUE(bound.files_in_volume.empty());
  EXPECT_EQ(MountPlan::make(with({{MountKind::bind, "/srv/h", "/etc/hosts"}}), {})
                .value()
                .own_files.size(),
            2u);
}

TEST(MountPlan, MakesTheWorkingFolderUnlessAMountHasIt) {
  const auto wants = [](const std::string& workdir) {
    ContainerOptions options = with({{MountKind::named, "x", "/x"}});
    options.workdir = workdir;
    const auto points = MountPlan::make(options, {}).value().wanted_points();
    return std::any_of(points.begin(), points.end(),
                       [&](const WantedPoint& p) { return p.path == workdir && !p.is_file; });
  };
  EXPECT_TRUE(wants("/app"));
  EXPECT_TRUE(wants("/x")) << "the mount's own point";
  EXPECT_FALSE(wants("/x/sub"));
  EXPECT_FALSE(wants("/dev/shm"));
}

}  // namespace
}  // namespace locald::builder
