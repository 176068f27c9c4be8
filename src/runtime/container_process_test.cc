#include <sys/mount.h>

#include <fstream>

#include "base/sys/spawn.h"
#include "runtime/cgroups.h"
#include "runtime/container_init.h"
#include "runtime/runtime_fixture.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

constexpr char kBusybox[] = "/bin/busybox";

/// What a source is given, as far as this room looks at it.
struct Context {
  std::function<void(const std::string&)> notice = {};
};

/// A bundle of one layer: busybox under its own names.
struct BusyboxSource {
  std::string home;
  std::vector<std::string> args;
  std::string upper = "upper";
  int layers = 1;
  bool userns = false;
  std::string cwd = "/";
  int stop_signal = 0;
  std::string init = {};  ///< the helper's file; empty: none

  Result<ContainerBundle> prepare(const std::string& destination, const Context&) {
    const std::string base = home + "/layers";
    if (!exists(base)) {
      for (const char* dir :
           {"/l/1/bin", "/l/1/etc", "/l/1/proc", "/l/1/dev", "/l/1/sys", "/l/1/tmp"})
        std::filesystem::create_directories(base + dir);
      std::filesystem::copy_file(kBusybox, base + "/l/1/bin/busybox");
      for (const char* name : {"sh", "sleep", "echo", "cat", "true", "stty", "setsid", "id", "ls",
                               "kill", "seq", "env", "mount", "ps"})
        std::filesystem::create_symlink("busybox", base + "/l/1/bin/" + name);
      {
        std::ofstream(base + "/l/1/etc/passwd")
            << "root:x:0:0:root:/:/bin/sh\nworker:x:1234:1234::/:/bin/sh\n";
      }
      {
        std::ofstream(base + "/l/1/etc/group") << "root:x:0:\nworker:x:1234:\nextra:x:77:worker\n";
      }
      { std::ofstream(base + "/l/1/etc/plain") << "no program\n"; }
      { std::ofstream(base + "/l/1/bin/badscript") << "#!/no/interpreter\n"; }
      {
        std::ofstream(base + "/l/1/bin/badelf")
            << std::string("\x7f") + "ELF and then nothing of use";
      }
      for (const char* name : {"/l/1/bin/badscript", "/l/1/bin/badelf"})
        std::filesystem::permissions(base + name, std::filesystem::perms(0755));
      for (int i = 2; i <= layers; ++i) {
        const std::string dir = base + "/l/" + std::to_string(i);
        std::filesystem::create_directories(dir);
        std::ofstream(dir + "/from-" + std::to_string(i)) << i;
      }
    }
    Rootfs rootfs;
    for (int i = layers; i >= 1; --i) rootfs.lowers.push_back("l/" + std::to_string(i));
    rootfs.lower_base = base;
    rootfs.upper = home + "/" + upper + "/upper";
    rootfs.work = home + "/" + upper + "/work";
    std::filesystem::create_directories(rootfs.upper);
    std::filesystem::create_directories(rootfs.work);
    const std::string sys =
        userns
            ? R"({"destination":"/sys","source":"/sys","options":["rbind","nosuid","noexec","nodev","rro"]},
        {"destination":"/sys/fs/cgroup","type":"tmpfs","source":"tmpfs","options":["ro"]})"
            : R"({"destination":"/sys","type":"sysfs","source":"sysfs","options":["ro"]})";
    const std::string text =
        R"({"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"args":["x"],"cwd":")" + cwd +
        R"(","env":["PATH=/bin"],"noNewPrivileges":true,
        "capabilities":{"bounding":["CAP_KILL","CAP_SETUID","CAP_SETGID","CAP_CHOWN"],"effective":["CAP_KILL","CAP_SETUID","CAP_SETGID","CAP_CHOWN"],
        "permitted":["CAP_KILL","CAP_SETUID","CAP_SETGID","CAP_CHOWN"]}},
        "root":{"path":"rootfs"},"hostname":"box","mounts":[{"destination":"/proc","type":"proc","source":"proc"},
        {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755","size=65536k"]},
        {"destination":"/dev/pts","type":"devpts","source":"devpts","options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620"]},)" +
        sys +
        R"(],"linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"},{"type":"cgroup"}]}})";
    auto spec = TRY(oci::RuntimeSpec::parse(text));
    spec.process->args = args;
    if (!init.empty()) {
      spec.mounts.push_back({.destination = kContainerInitPath,
                             .source = init,
                             .options = {"rbind", "rprivate", "rro"}});
      const auto words = ContainerInit{}.words();
      spec.process->args.insert(spec.process->args.begin(), words.begin(), words.end());
    }
    auto bundle = TRY(ContainerBundle::create(destination, std::move(rootfs), std::move(spec)));
    bundle.stop_signal = stop_signal;
    return bundle;
  }
};

class ContainerTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    if (::access("/usr/sbin/runc", X_OK) != 0) GTEST_SKIP() << "needs runc";
    const auto program = read_file(kBusybox, 8u << 20);
    if (!program || program->substr(0, 4096).find("ld-linux") != std::string::npos)
      GTEST_SKIP() << "needs /bin/busybox, static (package busybox-static)";
    if (auto fd = userns_->fd(); !fd)
      GTEST_SKIP() << "needs a user namespace: " << fd.error().text();
  }

  /// The same with our helper as PID 1.
  BusyboxSource with_init(std::vector<std::string> args) {
    BusyboxSource from = source(std::move(args));
    from.init = shim_;
    return from;
  }
  bool shim_is_static() {
    const auto program = read_file(shim_, 64u << 20);
    return program && program->substr(0, 4096).find("ld-linux") == std::string::npos;
  }

  BusyboxSource source(std::vector<std::string> args) {
    return {.home = home_, .args = std::move(args), .userns = userns_->kind() != IdMapKind::root};
  }
  std::unique_ptr<Watched> container(InstanceSpec spec, BusyboxSource from) {
    from.upper = "upper-" + spec.id;
    auto handle = runtime_->run_container(spec, from, Context());
    if (!handle) {
      ADD_FAILURE() << handle.error().text();
      return nullptr;
    }
    return watch(std::move(spec), std::move(*handle));
  }
  std::unique_ptr<Watched> container(const std::string& script) {
    return container(instance("box"), source({"sh", "-c", script}));
  }
  ExitStatus ran(std::vector<std::string> args) {
    auto w = container(instance("box"), source(std::move(args)));
    EXPECT_TRUE(w && wait_exit(*w));
    clean(*w);
    return *w->exit;
  }
  void clean(const Watched& w) {
    const auto cleaned = runtime_->clean(w.spec.id, w.spec.nonce);
    EXPECT_TRUE(cleaned) << cleaned.error().text();
    EXPECT_FALSE(exists(paths_->runc_root() + "/" + w.spec.id));
    EXPECT_FALSE(exists(paths_->bundle(w.spec.id)));
    EXPECT_EQ(read_file("/proc/self/mountinfo")->find(w.spec.id), std::string::npos);
    for (const auto& entry : std::filesystem::directory_iterator("/sys/fs/cgroup"))
      EXPECT_FALSE(exists(entry.path().string() + cgroup_name(w.spec.id))) << entry.path();
  }
  bool running(Watched& w) {
    return run_until([&] { return w.pid != 0; });
  }
  std::unique_ptr<Watched> exec(const Watched& in, ExecSpec command, InstanceSpec spec) {
    auto handle = runtime_->exec(spec, in.spec.id, command);
    if (!handle) {
      ADD_FAILURE() << handle.error().text();
      return nullptr;
    }
    return watch(std::move(spec), std::move(*handle));
  }
  ExitStatus executed(const Watched& in, ExecSpec command) {
    InstanceSpec spec = instance("exec");
    auto w = exec(in, std::move(command), spec);
    EXPECT_TRUE(w && wait_exit(*w));
    output_ = log_text(spec.log_dir);
    (void)remove_tree(spec.log_dir);
    EXPECT_TRUE(runtime_->clean(w->spec.id, w->spec.nonce));
    return *w->exit;
  }
  std::string output_;
};

TEST_F(ContainerTest, ItsExitIsReportedExactlyAndNothingIsLeft) {
  EXPECT_EQ(ran({"sh", "-c", "exit 0"}).code, 0);
  EXPECT_EQ(ran({"sh", "-c", "exit 42"}).code, 42);
  // PID 1 of a namespace cannot kill itself: a child of the shell's does, and the shell tells.
  EXPECT_EQ(ran({"sh", "-c", "sh -c 'kill -9 $$'; exit $?"}).code, 137);
  auto w = container("sleep 1000");
  ASSERT_TRUE(w && running(*w));
  ASSERT_EQ(::kill(w->pid, SIGKILL), 0);
  ASSERT_TRUE(wait_exit(*w));
  EXPECT_EQ(w->exit->signal, SIGKILL);
  clean(*w);
}

TEST_F(ContainerTest, ACommandThatIsNotThereIs127AndOneThatCannotRunIs126) {
  const struct {
    std::vector<std::string> args;
    int code;
  } cases[] = {{{"no-such"}, 127}, {{"/no/such"}, 127},  {{"/etc/plain"}, 126},
               {{"/etc"}, 126},    {{"badscript"}, 127}, {{"badelf"}, 126}};
  for (const auto& c : cases) {
    const ExitStatus e = ran(c.args);
    EXPECT_EQ(e.code, c.code) << c.args[0] << ": " << e.reason;
    EXPECT_TRUE(e.never_ran) << c.args[0] << ": " << e.reason;
    EXPECT_FALSE(e.reason.empty());
  }
}

TEST_F(ContainerTest, WithInitItHasStartedOnceItsCommandRunsAndFailsAsWithout) {
  if (!shim_is_static()) GTEST_SKIP() << "needs a static shim: this preset's is none";
  const struct {
    std::vector<std::string> args;
    int code;
  } cases[] = {{{"no-such"}, 127}, {{"/no/such"}, 127},  {{"/etc/plain"}, 126},
               {{"/etc"}, 126},    {{"badscript"}, 127}, {{"badelf"}, 126}};
  for (const auto& c : cases) {
    InstanceSpec spec = instance("init");
    auto w = container(spec, with_init(c.args));
    ASSERT_TRUE(w && wait_exit(*w));
    EXPECT_TRUE(w->exit->never_ran) << c.args[0];
    EXPECT_EQ(w->exit->code, c.code) << c.args[0];
    EXPECT_EQ(w->exit->reason.find(c.args[0]), 0u) << w->exit->reason;
    EXPECT_EQ(w->pid, 0) << "it never was started";
    EXPECT_EQ(log_text(spec.log_dir), "") << "the reason says it";
    clean(*w);
    (void)remove_tree(spec.log_dir);
  }
  for (const auto& [script, code] : {std::pair("exit 42", 42), std::pair("kill -TERM $$", 143)}) {
    auto w = container(instance("init"), with_init({"sh", "-c", script}));
    ASSERT_TRUE(w && wait_exit(*w));
    EXPECT_NE(w->pid, 0);
    EXPECT_FALSE(w->exit->never_ran);
    EXPECT_EQ(w->exit->code, code);
    clean(*w);
  }
}

TEST_F(ContainerTest, AStopBeforeTheCommandOfInitRunsReachesItOnce) {
  if (!shim_is_static()) GTEST_SKIP() << "needs a static shim: this preset's is none";
  for (int n = 0; n < 5; ++n) {
    auto w = container(instance("init"), with_init({"sleep", "1000"}));
    ASSERT_TRUE(w);
    const auto before = std::chrono::steady_clock::now();
    ASSERT_TRUE(w->handle->stop(SIGTERM, seconds(8)));
    ASSERT_TRUE(wait_exit(*w, seconds(10)));
    EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(4));
    EXPECT_EQ(w->exit->code, 143);
    clean(*w);
  }
}

TEST_F(ContainerTest, TheRootIsAnOverlayWhoseLowerLayersStayClean) {
  auto from = source(
      {"sh", "-c",
       "cat /from-3 /from-2; echo x > /new; echo; echo $LOCALD_INSTANCE; id -u; ls /proc/self/fd"});
  from.layers = 3;
  InstanceSpec spec = instance("layers");
  auto w = container(spec, from);
  ASSERT_TRUE(w && wait_exit(*w));
  EXPECT_EQ(log_text(spec.log_dir), "32\n" + spec.nonce + "\n0\n0\n1\n2\n3\n");
  EXPECT_TRUE(exists(home_ + "/upper-" + spec.id + "/upper/new"));
  EXPECT_FALSE(exists(home_ + "/layers/l/3/new"));
  clean(*w);
}

TEST_F(ContainerTest, ManyLayersAreMountedThoughTheirNamesFillMoreThanAPage) {
  auto from = source({"sh", "-c", "cat /from-2 /from-400"});
  from.layers = 400;
  InstanceSpec spec = instance("many");
  auto w = container(spec, from);
  ASSERT_TRUE(w && wait_exit(*w));
  EXPECT_EQ(w->exit->code, 0) << w->exit->reason;
  EXPECT_EQ(log_text(spec.log_dir), "2400");
}

TEST_F(ContainerTest, StopIsProvedForProcessesThatIgnoreIt) {
  auto w = container(
      "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 1000' &); echo up; while :; do sleep 1; "
      "done");
  ASSERT_TRUE(w && running(*w));
  ASSERT_TRUE(run_until([&] { return log_text(w->spec.log_dir) == "up\n"; }));
  int daemon = 0;
  each_child(w->pid, [&](int child) { daemon = child; });
  ASSERT_NE(daemon, 0);
  ASSERT_TRUE(w->handle->stop(SIGTERM, milliseconds(100)));
  ASSERT_TRUE(wait_exit(*w, seconds(2)));
  EXPECT_EQ(w->exit->signal, SIGKILL);
  EXPECT_FALSE(alive(daemon));
  clean(*w);
}

TEST_F(ContainerTest, AStopWithoutASignalSendsTheOneThatTheImageNames) {
  auto from =
      source({"sh", "-c",
              "trap 'exit 11' QUIT; trap 'exit 12' TERM; echo up; while :; do sleep 0.02; done"});
  from.stop_signal = SIGQUIT;
  for (const int code : {11, 12}) {
    auto w = container(instance("stop" + std::to_string(code)), from);
    ASSERT_TRUE(w && run_until([&] { return log_text(w->spec.log_dir) == "up\n"; }));
    ASSERT_TRUE(w->handle->stop(0, seconds(5)));
    ASSERT_TRUE(wait_exit(*w, seconds(3)));
    EXPECT_EQ(w->exit->code, code);
    from.stop_signal = 0;
  }
}

TEST_F(ContainerTest, AKilledShimTakesEverythingWithIt) {
  auto w = container("(setsid sh -c 'trap \"\" TERM; sleep 1000' &); echo up; sleep 1000");
  ASSERT_TRUE(w && running(*w));
  ASSERT_TRUE(run_until([&] { return log_text(w->spec.log_dir) == "up\n"; }));
  InstanceSpec spec = instance("exec");
  auto session = exec(*w, {.argv = {"sleep", "1000"}}, spec);
  ASSERT_TRUE(session && running(*session));
  std::vector<int> pids{w->pid, session->pid, session->handle->shim_pid()};
  each_child(w->pid, [&](int child) { pids.push_back(child); });
  const auto before = std::chrono::steady_clock::now();
  ASSERT_EQ(::kill(w->handle->shim_pid(), SIGKILL), 0);
  ASSERT_TRUE(wait_exit(*w, seconds(2)));
  ASSERT_TRUE(wait_exit(*session, seconds(2)));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(1));
  EXPECT_FALSE(w->exit->known());
  EXPECT_FALSE(session->exit->known());
  for (int pid : pids) EXPECT_FALSE(alive(pid)) << pid;
  clean(*w);
  EXPECT_TRUE(runtime_->clean(spec.id, spec.nonce));
}

TEST_F(ContainerTest, AKilledShimOfAnExecTakesItsCommandAndLeavesTheContainer) {
  auto w = container("sleep 1000");
  ASSERT_TRUE(w && running(*w));
  auto session = exec(*w, {.argv = {"sh", "-c", "trap '' TERM; sleep 1000"}}, instance("exec"));
  ASSERT_TRUE(session && running(*session));
  ASSERT_EQ(::kill(session->handle->shim_pid(), SIGKILL), 0);
  ASSERT_TRUE(wait_exit(*session, seconds(2)));
  EXPECT_FALSE(alive(session->pid));
  EXPECT_TRUE(alive(w->pid));
  ASSERT_TRUE(w->handle->stop(SIGKILL, milliseconds(0)));
  ASSERT_TRUE(wait_exit(*w));
  clean(*w);
}

TEST_F(ContainerTest, CommandsInItHaveTheirExitUserFolderAndEnvironment) {
  auto w = container("sleep 1000");
  ASSERT_TRUE(w && running(*w));
  EXPECT_EQ(executed(*w, {.argv = {"sh", "-c", "exit 7"}}).code, 7);
  EXPECT_EQ(executed(*w, {.argv = {"sh", "-c", "kill -9 $$"}}).signal, SIGKILL);
  EXPECT_EQ(executed(*w, {.argv = {"sh", "-c", "kill -SEGV $$"}}).signal, SIGSEGV);
  EXPECT_EQ(executed(*w, {.argv = {"sh", "-c", "echo $A; env | seq 1 2; echo err >&2"},
                          .env = {"A=one two"}})
                .code,
            0);
  EXPECT_NE(output_.find("one two\n1\n2\n"), std::string::npos) << output_;
  EXPECT_EQ(executed(*w, {.argv = {"ls"}, .cwd = "/etc"}).code, 0);
  EXPECT_NE(output_.find("passwd"), std::string::npos) << output_;
  if (userns_->kind() != IdMapKind::single) {
    EXPECT_EQ(executed(*w, {.argv = {"id"}, .user = "worker"}).code, 0);
    EXPECT_EQ(output_, "uid=1234(worker) gid=1234(worker) groups=77(extra),1234(worker)\n");
    EXPECT_EQ(executed(*w, {.argv = {"id"}, .user = "55:66"}).code, 0);
    EXPECT_EQ(output_, "uid=55 gid=66 groups=66\n");
  }
  EXPECT_EQ(executed(*w, {.argv = {"no-such"}}).code, 127);
  EXPECT_EQ(executed(*w, {.argv = {"/no/such"}}).code, 127);
  EXPECT_EQ(executed(*w, {.argv = {"/etc/plain"}}).code, 126);
  EXPECT_EQ(executed(*w, {.argv = {"badscript"}}).code, 127);
  EXPECT_EQ(executed(*w, {.argv = {"badelf"}}).code, 126);
  auto unknown = runtime_->exec(instance("x"), w->spec.id, {.argv = {"id"}, .user = "nobody-here"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), Errc::not_found);
  const auto probed =
      runtime_->probe(w->spec.id, {.argv = {"sh", "-c", "echo well; exit 2"}}, seconds(5), {});
  ASSERT_TRUE(probed) << probed.error().text();
  EXPECT_EQ(probed->code, 2);
  EXPECT_EQ(probed->output, "well\n");
  const auto late = runtime_->probe(w->spec.id, {.argv = {"sleep", "77"}}, milliseconds(300), {});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), Errc::timed_out);
  int left = 0;
  each_child(w->handle->shim_pid(), [&](int child) { left += child != w->pid; });
  EXPECT_EQ(left, 0);
  ASSERT_TRUE(w->handle->stop(SIGKILL, milliseconds(0)));
  ASSERT_TRUE(wait_exit(*w));
  clean(*w);
}

TEST_F(ContainerTest, ATerminalInExecHasItsSizeFollowsResizesAndGivesTheExitCode) {
  auto w = container("sleep 1000");
  ASSERT_TRUE(w && running(*w));
  InstanceSpec spec = instance("tty");
  spec.log_dir.clear();
  spec.tty = spec.open_stdin = spec.hold = true;
  spec.rows = 31, spec.columns = 97;
  auto session = exec(*w, {.argv = {"sh"}}, spec);
  ASSERT_TRUE(session);
  Attached terminal(session->handle->control_socket(), spec.nonce);
  terminal.type("stty size\n");
  ASSERT_TRUE(terminal.read_until("31 97")) << terminal.out << terminal.exit_text;
  terminal.resize(40, 120);
  terminal.type("stty size\n");
  ASSERT_TRUE(terminal.read_until("40 120")) << terminal.out;
  terminal.type("sleep 100\n");
  ASSERT_TRUE(terminal.read_until("sleep 100"));
  std::this_thread::sleep_for(milliseconds(100));
  terminal.type("\x03");
  terminal.type("exit 23\n");
  ASSERT_TRUE(terminal.read_to_end()) << terminal.out;
  ASSERT_TRUE(terminal.exit);
  EXPECT_EQ(terminal.exit->code, 23);
  ASSERT_TRUE(w->handle->stop(SIGKILL, milliseconds(0)));
  ASSERT_TRUE(wait_exit(*w));
}

TEST_F(ContainerTest, AContainerWithATerminalHasItsSizeFromTheStart) {
  InstanceSpec spec = instance("tty");
  spec.tty = spec.open_stdin = spec.hold = true;
  spec.rows = 29, spec.columns = 111;
  auto w = container(spec, source({"sh", "-c", "stty size; exit 6"}));
  ASSERT_TRUE(w);
  Attached terminal(w->handle->control_socket(), spec.nonce);
  ASSERT_TRUE(terminal.read_to_end());
  EXPECT_EQ(terminal.out, "29 111\r\n");
  ASSERT_TRUE(terminal.exit);
  EXPECT_EQ(terminal.exit->code, 6);
  clean(*w);
}

TEST_F(ContainerTest, AnotherServerFindsItAndWorksWithIt) {
  auto w = container("echo one; while ! [ -e /go ]; do sleep 0.02; done; echo two; sleep 1000");
  ASSERT_TRUE(w && running(*w));
  const InstanceSpec spec = w->spec;
  const int pid = w->pid;
  w.reset();
  UserNamespace second_ns(shim_);
  const auto record_shim = pid;
  ASSERT_TRUE(second_ns.adopt(record_shim) || userns_->kind() == IdMapKind::root);
  auto second = make_runtime();
  auto found = second->find_instances();
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  ASSERT_TRUE(found->front().live) << found->front().exit.reason;
  auto again = watch(spec, std::move(found->front().live));
  ASSERT_TRUE(run_until([&] { return again->pid == pid; }));
  EXPECT_EQ(executed(*again, {.argv = {"sh", "-c", "echo > /go"}}).code, 0);
  ASSERT_TRUE(run_until([&] { return log_text(spec.log_dir) == "one\ntwo\n"; }));
  ASSERT_TRUE(again->handle->stop(SIGTERM, milliseconds(50)));
  ASSERT_TRUE(wait_exit(*again));
  clean(*again);
}

TEST_F(ContainerTest, AStopWhileItStartsEndsItAsOneThatNeverRan) {
  auto w = container("sleep 1000");
  ASSERT_TRUE(w);
  ASSERT_TRUE(w->handle->stop(SIGTERM, milliseconds(0)));
  ASSERT_TRUE(wait_exit(*w, seconds(3)));
  clean(*w);
}

TEST_F(ContainerTest, AStartThatFailsSaysWhyAndLeavesNothing) {
  BusyboxSource from = source({"true"});
  InstanceSpec spec = instance("broken");
  auto broken = [&](const std::string& dest, int) -> Result<ContainerBundle> {
    auto bundle = TRY(from.prepare(dest, Context()));
    bundle.rootfs.lowers = {"l/none"};
    return bundle;
  };
  struct Source {
    decltype(broken)& make;
    Result<ContainerBundle> prepare(const std::string& dest, const Context&) {
      return make(dest, 0);
    }
  } source{broken};
  auto handle = runtime_->run_container(spec, source, Context());
  ASSERT_TRUE(handle) << handle.error().text();
  auto w = watch(spec, std::move(*handle));
  ASSERT_TRUE(wait_exit(*w));
  EXPECT_TRUE(w->exit->never_ran);
  EXPECT_EQ(w->exit->code, 125);
  EXPECT_NE(w->exit->reason.find("overlay"), std::string::npos) << w->exit->reason;
  clean(*w);
}

}  // namespace
}  // namespace locald::runtime
