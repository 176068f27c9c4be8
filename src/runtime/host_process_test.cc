#include "runtime/runtime_fixture.h"

#include <sys/socket.h>

#include <atomic>

namespace locald::runtime {
namespace {

class HostProcessTest : public RuntimeTest {
 protected:
  ExitStatus ran(const HostProcess& process, InstanceSpec spec) {
    auto w = host(std::move(spec), process);
    EXPECT_TRUE(w && wait_exit(*w));
    EXPECT_TRUE(runtime_->clean(w->spec.id, w->spec.nonce));
    return *w->exit;
  }
  ExitStatus ran(const std::string& script) { return ran(shell(script), instance("web")); }
};

TEST_F(HostProcessTest, ItsExitIsReportedExactly) {
  EXPECT_EQ(ran("exit 0").code, 0);
  EXPECT_EQ(ran("exit 42").code, 42);
  EXPECT_EQ(ran("kill -KILL $$").signal, SIGKILL);
  EXPECT_EQ(ran("kill -SEGV $$").signal, SIGSEGV);
}

TEST_F(HostProcessTest, ACommandThatIsNotThereIs127AndOneThatCannotRunIs126) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "under the thread sanitizer vfork is fork: why nothing ran is not heard";
#endif
  HostProcess p = shell("");
  p.argv = {"no-such-command"};
  ExitStatus e = ran(p, instance("a"));
  EXPECT_EQ(e.code, 127);
  EXPECT_TRUE(e.never_ran);
  EXPECT_NE(e.reason.find("no-such-command: command not found in PATH"), std::string::npos)
      << e.reason;
  p.argv = {home_ + "/nothing"};
  EXPECT_EQ(ran(p, instance("b")).code, 127);
  { std::ofstream(home_ + "/plain") << "text"; }
  p.argv = {home_ + "/plain"};
  e = ran(p, instance("c"));
  EXPECT_EQ(e.code, 126);
  EXPECT_TRUE(e.never_ran);
  EXPECT_NE(e.reason.find("Permission denied"), std::string::npos) << e.reason;
  { std::ofstream(home_ + "/script") << "#!/no/such/interpreter\n"; }
  std::filesystem::permissions(home_ + "/script", std::filesystem::perms(0755));
  p.argv = {home_ + "/script"};
  e = ran(p, instance("d"));
  EXPECT_EQ(e.code, 126);
  EXPECT_NE(e.reason.find("interpreter"), std::string::npos) << e.reason;
  p.argv = {"true"};
  p.cwd = home_ + "/nowhere";
  e = ran(p, instance("e"));
  EXPECT_EQ(e.code, 125);
  EXPECT_NE(e.reason.find("nowhere"), std::string::npos) << e.reason;
}

TEST_F(HostProcessTest, ItsWorldIsWhatTheSpecSaysAndNothingElse) {
  InstanceSpec spec = instance("env");
  HostProcess p = shell("env | sort; pwd; umask; ulimit -n; ls /proc/self/fd | tr '\\n' ' '");
  p.env.push_back("A=b c");
  p.umask = 027;
  p.rlimits = {{RLIMIT_NOFILE, {100, 200}}};
  auto w = host(spec, p);
  ASSERT_TRUE(w && wait_exit(*w));
  const std::string text = log_text(spec.log_dir);
  EXPECT_NE(text.find("A=b c\nHOME=/\nLOCALD_INSTANCE=" + spec.nonce + "\n"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("XDG"), std::string::npos) << text;
  EXPECT_NE(text.find(home_ + "\n0027\n100\n0 1 2 3 "), std::string::npos) << text;
}

TEST_F(HostProcessTest, ALimitThatCannotBeRaisedIsNoReasonToDie) {
  HostProcess p = shell("ulimit -Hn > limit");
  p.rlimits = {{RLIMIT_NOFILE, {RLIM_INFINITY, RLIM_INFINITY}}};
  EXPECT_EQ(ran(p, instance("limit")).code, 0);
}

TEST_F(HostProcessTest, StopIsProvedWhenTheProcessDoubleForksCallsSetsidAndIgnoresSignals) {
  auto w =
      host(instance("stubborn"),
           shell("trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ > far; sleep 1000' & "
                 "(setsid setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > farther; sleep 1000' &); "
                 "while :; do sleep 1; done"));
  ASSERT_TRUE(w && wait_file(home_ + "/far") && wait_file(home_ + "/farther"));
  const int far = pid_in(home_ + "/far"), farther = pid_in(home_ + "/farther");
  ASSERT_TRUE(alive(far) && alive(farther));
  ASSERT_TRUE(w->handle->stop(SIGTERM, milliseconds(100)));
  ASSERT_TRUE(wait_exit(*w, seconds(3)));
  EXPECT_EQ(w->exit->signal, SIGKILL);
  EXPECT_FALSE(alive(far));
  EXPECT_FALSE(alive(farther));
  EXPECT_FALSE(alive(w->pid));
}

TEST_F(HostProcessTest, WhatItLeavesBehindWhenItEndsByItselfIsKilled) {
  auto w = host(instance("leaver"),
                shell("(setsid sh -c 'trap \"\" TERM HUP; echo $$ > left; sleep 1000' &); "
                      "while ! [ -s left ]; do sleep 0.01; done; exit 3"));
  ASSERT_TRUE(w && wait_exit(*w));
  EXPECT_EQ(w->exit->code, 3);
  EXPECT_FALSE(alive(pid_in(home_ + "/left")));
}

TEST_F(HostProcessTest, AStopReachesTheChildrenOfAShellThatDiesAtOnce) {
  auto w = host(instance("pipeline"),
                shell("sh -c 'trap \"echo ended > graceful; exit 0\" TERM; echo > ready; "
                      "while :; do sleep 0.05; done' | cat"));
  ASSERT_TRUE(w && wait_file(home_ + "/ready"));
  ASSERT_TRUE(w->handle->stop(SIGTERM, seconds(5)));
  ASSERT_TRUE(wait_exit(*w, seconds(4)));
  EXPECT_EQ(w->exit->signal, SIGTERM);
  EXPECT_TRUE(exists(home_ + "/graceful"));
}

TEST_F(HostProcessTest, AKilledShimTakesItsServiceWithItAndTheEndIsUnknown) {
  auto w = host(instance("orphan"),
                shell("(setsid env -i /bin/sh -c 'echo $$ > clean; sleep 1000' &); "
                      "setsid sh -c 'trap \"\" TERM; echo $$ > far; sleep 1000' & sleep 1000"));
  ASSERT_TRUE(w && wait_file(home_ + "/far") && wait_file(home_ + "/clean"));
  const int far = pid_in(home_ + "/far"), clean = pid_in(home_ + "/clean");
  const auto before = std::chrono::steady_clock::now();
  ASSERT_EQ(::kill(w->handle->shim_pid(), SIGKILL), 0);
  ASSERT_TRUE(wait_exit(*w, seconds(2)));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(1));
  EXPECT_FALSE(w->exit->known());
  EXPECT_NE(w->exit->reason.find("killed by signal 9"), std::string::npos) << w->exit->reason;
  EXPECT_FALSE(alive(w->pid));
  EXPECT_FALSE(alive(far));
  EXPECT_FALSE(alive(clean));
  EXPECT_TRUE(runtime_->clean(w->spec.id, w->spec.nonce));
  EXPECT_FALSE(exists(paths_->instance(w->spec.id)));
}

TEST_F(HostProcessTest, AnotherServerFindsItProvesItAndStopsIt) {
  auto w = host(instance("adopted"),
                shell("echo one; while ! [ -e go ]; do sleep 0.01; done; echo two; sleep 1000"));
  ASSERT_TRUE(w && run_until([&] { return w->pid != 0; }));
  const InstanceSpec spec = w->spec;
  const int pid = w->pid;
  auto ended = host(instance("ended"), shell("exit 7"));
  ASSERT_TRUE(ended && wait_exit(*ended));
  w.reset();  // the first server is gone
  auto second = make_runtime();
  auto found = second->find_instances();
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_EQ(found->size(), 2u);
  std::unique_ptr<ServiceHandle> live;
  for (auto& f : *found) {
    if (f.id == spec.id) {
      EXPECT_EQ(f.nonce, spec.nonce);
      EXPECT_EQ(f.meta, spec.meta);
      live = std::move(f.live);
    } else {
      EXPECT_FALSE(f.live);
      EXPECT_EQ(f.exit.code, 7);
    }
  }
  ASSERT_TRUE(live);
  auto again = watch(spec, std::move(live));
  ASSERT_TRUE(run_until([&] { return again->pid == pid; }));
  { std::ofstream(home_ + "/go") << "x"; }
  ASSERT_TRUE(run_until([&] { return log_text(spec.log_dir) == "one\ntwo\n"; }));
  ASSERT_TRUE(again->handle->stop(SIGTERM, seconds(5)));
  ASSERT_TRUE(wait_exit(*again));
  EXPECT_EQ(again->exit->signal, SIGTERM);
}

TEST_F(HostProcessTest, WhatWasAssembledAndNeverStartedIsFoundAndRemoved) {
  ASSERT_TRUE(make_dirs(paths_->bundle("half") + "/rootfs"));
  auto found = runtime_->find_instances();
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().id, "half");
  EXPECT_FALSE(found->front().live);
  EXPECT_TRUE(runtime_->clean("half", found->front().nonce));
  EXPECT_FALSE(exists(paths_->bundle("half")));
}

TEST_F(HostProcessTest, AShimWhoseFolderIsGoneStartsNothing) {
  // A server that died in the middle of a start, and the next one that cleaned up behind it: here
  // the folder goes the moment it is made.
  std::atomic<bool> stop = false;
  std::thread cleaner([&] {
    while (!stop)
      if (exists(paths_->instances()))
        for (const auto& entry : std::filesystem::directory_iterator(paths_->instances()))
          ::rmdir(entry.path().c_str());
  });
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    const InstanceSpec spec = instance("cut");
    auto handle = runtime_->run_host(spec, shell("echo > ran-" + spec.id));
    if (!handle) {
      ++refused;
      continue;
    }
    auto w = watch(spec, std::move(*handle));
    ASSERT_TRUE(wait_exit(*w));
    const bool ran = exists(home_ + "/ran-" + spec.id);
    EXPECT_EQ(ran, exists(paths_->instance(spec.id) + "/instance.json")) << w->exit->reason;
    refused += !ran;
  }
  stop = true;
  cleaner.join();
  EXPECT_GT(refused, 0);
}

TEST_F(HostProcessTest, ItsSocketRefusesAnotherNonce) {
  auto w = host(instance("nonce"), shell("sleep 1000"));
  ASSERT_TRUE(w);
  Attached stranger(w->handle->control_socket(), std::string(32, '0'));
  EXPECT_TRUE(stranger.read_to_end());
  EXPECT_FALSE(stranger.exit);
  ASSERT_TRUE(w->handle->stop(SIGKILL, milliseconds(0)));
  ASSERT_TRUE(wait_exit(*w));
}

TEST_F(HostProcessTest, ATerminalHasTheSizeAskedForFollowsResizesAndCtrlC) {
  InstanceSpec spec = instance("tty");
  spec.tty = true;
  spec.rows = 33, spec.columns = 101;
  spec.open_stdin = true;
  spec.hold = true;
  auto w = host(spec, shell("stty size; trap 'stty size; exit 5' INT; trap 'echo winch' WINCH; "
                            "echo ready; while :; do sleep 0.02; done"));
  ASSERT_TRUE(w);
  Attached terminal(w->handle->control_socket(), spec.nonce);
  ASSERT_TRUE(terminal.read_until("ready")) << terminal.out;
  EXPECT_NE(terminal.out.find("33 101"), std::string::npos) << terminal.out;
  terminal.resize(50, 80);
  ASSERT_TRUE(terminal.read_until("winch")) << terminal.out;
  terminal.type("\x03");
  ASSERT_TRUE(terminal.read_to_end());
  EXPECT_NE(terminal.out.find("50 80"), std::string::npos) << terminal.out;
  ASSERT_TRUE(terminal.exit);
  EXPECT_EQ(terminal.exit->code, 5);
}

TEST_F(HostProcessTest, InputGoesInOutputComesOutAndTheEndOfInputIsSeen) {
  InstanceSpec spec = instance("cat");
  spec.open_stdin = spec.hold = true;
  spec.log_dir.clear();
  auto w = host(spec, shell("cat; echo done >&2; exit 9"));
  ASSERT_TRUE(w);
  Attached client(w->handle->control_socket(), spec.nonce);
  std::string sent;
  for (int i = 0; i < 20000; ++i) sent += "line " + std::to_string(i) + "\n";
  std::thread writer([&] {
    for (std::size_t at = 0; at < sent.size(); at += 10000) client.type(sent.substr(at, 10000));
    client.send(Frame::in_end, nullptr, 0);
  });
  EXPECT_TRUE(client.read_to_end());
  writer.join();
  EXPECT_EQ(client.out, sent);
  EXPECT_EQ(client.err, "done\n");
  ASSERT_TRUE(client.exit);
  EXPECT_EQ(client.exit->code, 9);
}

TEST_F(HostProcessTest, HeldOutputWaitsForItsClientAlsoWhenTheProcessIsLongGone) {
  InstanceSpec spec = instance("held");
  spec.hold = true;
  auto w = host(spec, shell("seq 1 5000; exit 4"));
  ASSERT_TRUE(w);
  std::this_thread::sleep_for(milliseconds(100));
  Attached client(w->handle->control_socket(), spec.nonce);
  EXPECT_TRUE(client.read_to_end());
  EXPECT_EQ(client.out.substr(client.out.size() - 5), "5000\n");
  ASSERT_TRUE(client.exit);
  EXPECT_EQ(client.exit->code, 4);
  EXPECT_EQ(log_text(spec.log_dir), client.out);
}

TEST_F(HostProcessTest, AWatcherThatDoesNotReadIsDroppedAndNeverHoldsTheServiceUp) {
  InstanceSpec spec = instance("flood");
  auto w = host(
      spec,
      shell("while ! [ -e go ]; do sleep 0.01; done; head -c 20000000 /dev/zero | tr '\\0' 'x'"));
  ASSERT_TRUE(w);
  Attached sleeper(w->handle->control_socket(), spec.nonce);
  ASSERT_TRUE(run_until([&] { return w->pid != 0; }));
  std::this_thread::sleep_for(milliseconds(50));
  { std::ofstream(home_ + "/go") << "x"; }
  ASSERT_TRUE(wait_exit(*w));
  EXPECT_EQ(w->exit->code, 0);
  EXPECT_EQ(log_text(spec.log_dir).size(), 20000000u);
  sleeper.read_to_end();
  EXPECT_TRUE(sleeper.lost);
}

TEST_F(HostProcessTest, ALineOfEightMegabytesIsKeptWhole) {
  InstanceSpec spec = instance("long");
  auto w = host(spec, shell("head -c 8000000 /dev/zero | tr '\\0' 'y'; echo; echo end"));
  ASSERT_TRUE(w && wait_exit(*w));
  const std::string text = log_text(spec.log_dir);
  EXPECT_EQ(text.size(), 8000005u);
  EXPECT_EQ(text.substr(7999999), "y\nend\n");
}

TEST_F(HostProcessTest, AHealthProbeGivesCodeAndOutputAndItsTreeDiesAtTheTimeout) {
  auto result = runtime_->probe_host(shell("echo fine; exit 3"), seconds(5), {});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->code, 3);
  EXPECT_EQ(result->output, "fine\n");
  result = runtime_->probe_host(
      shell(
          "echo $$ > probe; setsid sh -c 'trap \"\" TERM; echo $$ > deep; sleep 100' & sleep 100"),
      milliseconds(300), {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Errc::timed_out);
  EXPECT_FALSE(alive(pid_in(home_ + "/probe")));
  EXPECT_FALSE(alive(pid_in(home_ + "/deep")));
  HostProcess missing = shell("");
  missing.argv = {"no-such-probe"};
  result = runtime_->probe_host(missing, seconds(5), {});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->code, 127);
  result = runtime_->probe_host(shell("head -c 100000 /dev/zero | tr '\\0' 'z'"), seconds(5), {});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output.size(), 4096u);
}

TEST_F(HostProcessTest, OfAHealthProbeThatIsCalledOffNothingRunsAnyMore) {
  for (int round = 0; round < 20; ++round) {
    std::stop_source stop;
    (void)::unlink((home_ + "/probe").c_str());
    std::thread caller([&] {
      while (!exists(home_ + "/probe")) std::this_thread::sleep_for(milliseconds(1));
      stop.request_stop();
    });
    const auto result = runtime_->probe_host(
        shell("setsid sh -c 'trap \"\" TERM; echo $$ > new; mv new probe; sleep 100' & sleep 100"),
        seconds(30), stop.get_token());
    caller.join();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), Errc::cancelled);
    EXPECT_FALSE(alive(pid_in(home_ + "/probe")));
  }
}

}  // namespace
}  // namespace locald::runtime
