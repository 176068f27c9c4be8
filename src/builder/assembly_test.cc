#include "builder/assembly.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <mutex>
#include <thread>

#include "base/sys/fs_at.h"
#include "builder/storage.h"

namespace locald::builder {
namespace {

TEST(Assembly, StandsOnNothingThatWasRemovedWhileItStarted) {
  char name[] = "/tmp/locald-assembly-XXXXXX";
  const std::string top = ::mkdtemp(name);
  Environment environment(
      {.paths = Paths::from_env(
                    [&](const std::string& n) {
                      return n == "LOCALD_HOME" ? std::optional(top + "/home") : std::nullopt;
                    },
                    1000)
                    .value(),
       .server_binary = "",
       .run_job = [](const auto&, const auto&, const auto&, auto) -> Result<Json> {
         return Error(Errc::failed, "no worker here");
       }});
  ASSERT_TRUE(environment.paths().create());
  ASSERT_TRUE(make_dirs(top + "/layers/one"));
  const ContainerOptions options;
  const auto start = [&] {
    return assemble({.environment = environment,
                     .options = options,
                     .container_key = "p.s.1",
                     .stamp = "stamp",
                     .lowers = {"one"},
                     .lower_base = top + "/layers"},
                    top + "/bundle", {});
  };
  // It is there: the start is seen by its stamp before anything else is done.
  EXPECT_NE(start().error().message().find("no worker here"), std::string::npos);
  EXPECT_EQ(*container_stamps(environment.paths()), std::vector<std::string>{"stamp"});
  ASSERT_TRUE(discard_container(environment, "p.s.1"));

  // Somebody chooses what to remove, and removes it: a start waits, and then says so.
  Result<void> said;
  {
    const auto mutex = environment.lock_for(kInUse);
    std::unique_lock lock(*mutex);
    std::thread other([&] { said = start().error(); });
    EXPECT_TRUE(container_stamps(environment.paths())->empty());
    ASSERT_TRUE(remove_tree(top + "/layers/one"));
    lock.unlock();
    other.join();
  }
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().code(), Errc::not_found);
  EXPECT_NE(said.error().message().find("removed while it started"), std::string::npos);
  EXPECT_TRUE(container_stamps(environment.paths())->empty());
  (void)remove_tree(top);
}

}  // namespace
}  // namespace locald::builder
