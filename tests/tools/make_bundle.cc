// Makes a bundle as the server does, and says as JSON what came of it:
//
//     make_bundle HOME IMAGE BUNDLE [OPTION…] [-- CMD…]
//       --key K --user U --workdir D --volume V… --env K=V… --tty --init --repeat N
//
// HOME is a LOCALD_HOME. With --repeat N the bundle is made N times more (and
// removed again), and "warm_us" has the times. It is its own worker.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "builder/image_source.h"
#include "builder/worker_jobs.h"
#include "runtime/user_namespace.h"
#include "runtime/worker.h"

namespace locald {
namespace {

std::string self() {
  char path[4096];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return std::string(path, n > 0 ? static_cast<std::size_t>(n) : 0);
}

int worker(int argc, char** argv) {
  int job = -1;
  for (int i = 2; i + 1 < argc; i += 2) {
    const int fd = static_cast<int>(parse_u64(argv[i + 1]).value_or(0));
    if (std::strcmp(argv[i], "--job-fd") == 0) job = fd;
    if (std::strcmp(argv[i], "--userns-fd") == 0)
      if (auto joined = runtime::join_user_namespace(fd); !joined) {
        std::fprintf(stderr, "%s\n", joined.error().text().c_str());
        return 1;
      }
  }
  return runtime::serve_worker_job(job, builder::find_worker_job);
}

Result<Json> run(int argc, char** argv) {
  const std::string home = argv[1], what = argv[2], destination = argv[3];
  const Paths paths = TRY(Paths::from_env(
      [&](const std::string& name) {
        return name == "LOCALD_HOME" ? std::optional(home) : std::nullopt;
      },
      ::getuid()));
  TRY(paths.create());
  const std::string shim = TRY(find_own_program("locald-shim"));
  std::optional<runtime::UserNamespace> userns;
  if (::getuid() != 0) userns.emplace(shim);
  builder::Environment environment({.paths = paths,
                                    .server_binary = self(),
                                    .init_program = shim,
                                    .user_namespace = userns ? &*userns : nullptr});

  builder::ContainerOptions options;
  std::string key = "test";
  std::vector<std::string> notices;
  options.project = "test";
  int repeat = 0;
  builder::PrepareContext context;
  for (int i = 4; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--") {
      options.command = std::vector<std::string>(argv + i + 1, argv + argc);
      break;
    }
    if (option == "--tty" || option == "--init") {
      (option == "--tty" ? options.tty : options.init) = true;
      continue;
    }
    if (i + 1 == argc) return Error(Errc::invalid_input, option + ": a value is missing");
    const std::string value = argv[++i];
    if (option == "--key")
      key = value;
    else if (option == "--user")
      options.user = value;
    else if (option == "--workdir")
      options.workdir = value;
    else if (option == "--volume")
      options.mounts.push_back(TRY(builder::VolumeMount::of(TRY(builder::parse_volume(
          value, "/", [&home] { return home; }, notices)))));
    else if (option == "--env")
      options.env[value.substr(0, value.find('='))] = value.substr(value.find('=') + 1);
    else if (option == "--repeat")
      repeat = static_cast<int>(parse_u64(value).value_or(0));
    else
      return Error(Errc::invalid_input, option + ": unknown");
  }
  std::string phases;
  context.progress = [&](const builder::PrepareProgress& p) {
    if (phases.empty() || !phases.ends_with(" " + p.phase)) phases += " " + p.phase;
  };
  auto reference = TRY(oci::ImageReference::parse(what, "/"));
  const auto source = std::make_unique<builder::ImageSource>(
      environment, std::move(reference), oci::PullPolicy::missing, options, key);
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto us = [](auto d) {
    return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
  };
  const auto begin = now();
  const runtime::ContainerBundle bundle = TRY(source->prepare(destination, context));
  const auto first = us(now() - begin);
  std::vector<std::int64_t> warm;
  for (int i = 0; i < repeat; ++i) {
    TRY(builder::remove_container(environment, key, {}));
    const auto start = now();
    TRY(source->prepare(destination + "-again", context));
    warm.push_back(us(now() - start));
    TRY(remove_tree(destination + "-again"));
  }
  std::sort(warm.begin(), warm.end());
  Json result = Json::object({{"dir", bundle.dir},
                              {"lowers", bundle.rootfs.lowers},
                              {"lower_base", bundle.rootfs.lower_base},
                              {"upper", bundle.rootfs.upper},
                              {"work", bundle.rootfs.work},
                              {"stop_signal", bundle.stop_signal},
                              {"anonymous_volumes", bundle.anonymous_volumes},
                              {"notices", bundle.notices},
                              {"fingerprint", source->fingerprint()},
                              {"phases", phases},
                              {"first_us", first}});
  if (!warm.empty())
    result.set("warm_us", Json::object({{"min", warm.front()},
                                        {"median", warm[warm.size() / 2]},
                                        {"max", warm.back()}}));
  return result;
}

}  // namespace
}  // namespace locald

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "worker") == 0) return locald::worker(argc, argv);
  if (argc < 4) {
    std::fputs("make_bundle HOME IMAGE BUNDLE [OPTION…] [-- CMD…]\n", stderr);
    return 2;
  }
  const auto result = locald::run(argc, argv);
  if (!result) {
    std::fprintf(stderr, "error: %s\n", result.error().text().c_str());
    return 1;
  }
  std::printf("%s\n", result->dump(/*pretty=*/true).c_str());
  return 0;
}
