// The helper of containers, run as a child of the test; as PID 1 it is driven by the functional
// tests.
#include "shim/init.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "shim/protocol.h"

namespace locald::shim {
namespace {

using Words = std::vector<std::string>;

/// As the command of a test: names each signal that comes, real-time ones with their value, until
/// SIGTERM. A constructor, so that no main() of a test's is needed.
[[gnu::constructor]] void name_signals() {
  if (::getenv("LOCALD_TEST_NAME_SIGNALS") == nullptr) return;
  const std::uint64_t all = ~std::uint64_t{0};
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, sizeof all);
  (void)!::write(1, "ready\n", 6);
  for (;;) {
    siginfo_t info{};
    if (::syscall(SYS_rt_sigtimedwait, &all, &info, nullptr, sizeof all) < 0) continue;
    if (info.si_signo == SIGTERM) ::_exit(5);
    std::string line = std::to_string(info.si_signo);
    if (info.si_code == SI_QUEUE) line += "=" + std::to_string(info.si_value.sival_int);
    line += "\n";
    (void)!::write(1, line.data(), line.size());
  }
}

/// init in a child process, its output in a pipe or on a terminal.
class Running {
 public:
  explicit Running(Words words, bool terminal = false) {
    int ends[2];
    if (terminal) {
      ends[0] = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
      EXPECT_EQ(::grantpt(ends[0]) | ::unlockpt(ends[0]), 0);
      ends[1] = ::open(::ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    } else {
      EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    }
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    int report[2];
    EXPECT_EQ(::pipe2(report, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      if (terminal) {
        ::setsid();
        ::ioctl(ends[1], TIOCSCTTY, 0);
        ::dup2(ends[1], 0);
      }
      ::dup2(ends[1], 1);
      ::dup2(ends[1], 2);
      if (report[1] != kInitReportFd) ::dup2(report[1], kInitReportFd), ::close(report[1]);
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // orphans come to it, as to a PID 1
      ::_exit(init_mode(argv.data()));
    }
    ::close(ends[1]);
    ::close(report[1]);
    out_ = ends[0];
    report_ = report[0];
  }
  ~Running() {
    if (pid_ > 0) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
    ::close(out_);
    ::close(report_);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  pid_t pid() const { return pid_; }
  void type(const char* text) {
    ASSERT_EQ(::write(out_, text, std::strlen(text)), static_cast<ssize_t>(std::strlen(text)));
  }
  /// Reads until `text` was seen; false at the end or after ten seconds.
  bool sees(const std::string& text) {
    while (seen.find(text) == std::string::npos)
      if (!read_some()) return false;
    return true;
  }
  /// Its wait status as a shell's code; everything that was written is in `seen`.
  int code() {
    while (read_some()) {
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  /// What came over the pipe until it was closed: by the execve, if it came to that.
  std::string report() {
    pollfd ready{report_, POLLIN, 0};
    if (::poll(&ready, 1, 10'000) != 1) return "nothing";
    char text[600];
    const ssize_t n = ::read(report_, text, sizeof text);
    return {text, n > 0 ? static_cast<std::size_t>(n) : 0};
  }

  std::string seen;

 private:
  bool read_some() {
    pollfd ready{out_, POLLIN, 0};
    if (::poll(&ready, 1, 10'000) <= 0) return false;
    char chunk[512];
    const ssize_t n = ::read(out_, chunk, sizeof chunk);
    if (n <= 0) return false;
    seen.append(chunk, static_cast<std::size_t>(n));
    return true;
  }

  pid_t pid_ = -1;
  int out_ = -1, report_ = -1;
};

std::string refusal(Words words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  InitRequest request;
  TextOf<200> why;
  return read_init(argv.data(), &request, why) ? "accepted" : why.data();
}

TEST(Init, ReadsItsWordsUpToTheCommand) {
  Words words = {"--map", "1001:1000", "--seal", "--exec", "--report", "--", "sh", "--", "--map"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  InitRequest request;
  TextOf<200> why;
  ASSERT_TRUE(read_init(argv.data(), &request, why)) << why.data();
  EXPECT_TRUE(request.map && request.seal && request.exec && request.report);
  EXPECT_EQ(request.uid, 1001u);
  EXPECT_EQ(request.gid, 1000u);
  EXPECT_STREQ(request.argv[0], "sh");
  EXPECT_STREQ(request.argv[2], "--map");
}

TEST(Init, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(refusal({}), "init: no command");
  EXPECT_EQ(refusal({"--"}), "init: no command");
  EXPECT_EQ(refusal({"--", "sh"}), "accepted");
  EXPECT_EQ(refusal({"sh"}), "sh: unknown to init");
  EXPECT_EQ(refusal({"--map"}), "--map: unknown to init");
  for (const char* ids : {"1", "1:", ":1", "1:1:1", "a:1", "-1:1", "1: 1", "4294967295:0",
                          "0:4294967296", "99999999999999999999:1"})
    EXPECT_EQ(refusal({"--map", ids, "--", "sh"}), std::string(ids) + " is not UID:GID");
  EXPECT_EQ(refusal({"--map", "4294967294:0", "--", "sh"}), "accepted");
}

TEST(Init, EndsAsItsCommandDoes) {
  const struct {
    const char* script;
    int code;
  } cases[] = {{"exit 0", 0},          {"exit 42", 42},        {"exit 255", 255},
               {"kill -TERM $$", 143}, {"kill -KILL $$", 137}, {"kill -SEGV $$", 139}};
  for (const auto& c : cases)
    for (const bool exec : {false, true}) {
      Words words = {"--", "sh", "-c", c.script};
      if (exec) words.insert(words.begin(), "--exec");
      Running init(words);
      const int expected = exec && c.code > 128 && c.code < 255 ? -(c.code - 128) : c.code;
      EXPECT_EQ(init.code(), expected) << c.script << " exec: " << exec;
    }
}

TEST(Init, SaysInOneSentenceWhyACommandWasNeverExecuted) {
  char dir[] = "/tmp/locald-init-XXXXXX";
  ASSERT_NE(::mkdtemp(dir), nullptr);
  const std::string plain = std::string(dir) + "/plain", script = std::string(dir) + "/script";
  const std::string crlf = std::string(dir) + "/crlf";
  const struct {
    std::string path;
    mode_t mode;
    std::string_view text;
  } files[] = {{plain, 0644, "#!/no/interpreter\n"},
               {script, 0755, "#!/no/interpreter -x\n"},
               {crlf, 0755, "#!/bin/sh\r\necho x\r\n"}};
  for (const auto& file : files) {
    const int fd = ::open(file.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, file.mode);
    ASSERT_EQ(::write(fd, file.text.data(), file.text.size()),
              static_cast<ssize_t>(file.text.size()));
    ::close(fd);
  }
  const struct {
    std::string command, text;
    int code;
  } cases[] = {
      {"no-such-command", ": command not found in PATH", 127},
      {"/no/such", ": no such file", 127},
      {plain + "/below", ": no such file", 127},
      {plain, ": cannot be executed: Permission denied", 126},
      {dir, ": cannot be executed: Permission denied", 126},
      // 127 here, as the runtime has it, and 126 where a shell would tell.
      {script, ": the interpreter that its first line (#!) names, /no/interpreter, does not exist",
       127},
      {crlf,
       ": the interpreter that its first line (#!) names, /bin/sh\\r, does not exist: the line "
       "ends "
       "with CRLF",
       127},
  };
  for (const auto& c : cases)
    for (const bool exec : {false, true}) {
      Words words = {"--", c.command};
      if (exec) words.insert(words.begin(), "--exec");
      Running init(words);
      EXPECT_EQ(init.code(), c.code) << c.command;
      EXPECT_EQ(init.seen, c.command + c.text + "\n");
      words.insert(words.begin(), "--report");
      Running reporting(words);
      EXPECT_EQ(reporting.code(), c.code) << c.command;
      EXPECT_EQ(reporting.seen, "");
      EXPECT_EQ(reporting.report(), c.command + c.text);
    }
  const std::string search = ::getenv("PATH");
  ASSERT_EQ(::chmod(dir, 0), 0);
  ::setenv("PATH", (std::string(dir) + ":/bin").c_str(), 1);
  Running hidden({"--", "plain"});
  EXPECT_EQ(hidden.code(), ::geteuid() == 0 ? 126 : 127) << "root enters every folder";
  ::setenv("PATH", search.c_str(), 1);
  ASSERT_EQ(::chmod(dir, 0700), 0);
  Running unknown({"--what"});
  EXPECT_EQ(unknown.code(), 125);
  EXPECT_EQ(unknown.seen, "--what: unknown to init\n");
  for (const std::string& path : {plain, script, crlf}) ::unlink(path.c_str());
  ::rmdir(dir);
}

TEST(Init, ReportsTheExecveBeforeTheCommandEnds) {
  for (const bool exec : {false, true}) {
    Words words = {"--report", "--", "sleep", "100"};
    if (exec) words.insert(words.begin(), "--exec");
    Running init(words);
    EXPECT_EQ(init.report(), "") << "closed while the command runs";
  }
  Running init({"--report", "--", "sh", "-c", "test ! -e /proc/self/fd/3 && echo closed"});
  EXPECT_EQ(init.code(), 0);
  EXPECT_EQ(init.seen, "closed\n");
}

TEST(Init, HandsEverySignalOnTheRealTimeOnesWithTheirValue) {
  ::setenv("LOCALD_TEST_NAME_SIGNALS", "1", 1);
  Running init({"--", "/proc/self/exe"});
  ::unsetenv("LOCALD_TEST_NAME_SIGNALS");
  ASSERT_TRUE(init.sees("ready\n"));
  for (int number = 1; number <= 64; ++number) {
    if (number == SIGKILL || number == SIGSTOP || number == SIGCHLD || number == SIGTERM) continue;
    // The C library's kill(2) is the kernel's, for the two signals of its own too.
    ASSERT_EQ(::kill(init.pid(), number), 0);
    ASSERT_TRUE(init.sees("\n" + std::to_string(number) + "\n")) << init.seen;
  }
  for (const int value : {7, 8, 9}) {
    sigval with{};
    with.sival_int = value;
    ASSERT_EQ(::sigqueue(init.pid(), SIGRTMIN + 3, with), 0);
  }
  const std::string number = std::to_string(SIGRTMIN + 3);
  EXPECT_TRUE(init.sees(number + "=7\n" + number + "=8\n" + number + "=9\n")) << init.seen;
  ASSERT_EQ(::kill(init.pid(), SIGTERM), 0);
  EXPECT_EQ(init.code(), 5);
}

TEST(Init, ReapsWhatItsCommandLeavesBehind) {
  Running init({"--", "sh", "-c",
                "for i in 1 2 3 4 5 6 7 8; do (sleep 0.02 & ); done; sleep 0.3; "
                "cat /proc/$PPID/task/$PPID/children; echo; echo $$"});
  EXPECT_EQ(init.code(), 0);
  const std::size_t line = init.seen.find('\n');
  EXPECT_EQ(init.seen.substr(0, init.seen.find(' ')), init.seen.substr(line + 1, line - 1))
      << "the command is its only child: " << init.seen;
}

TEST(Init, GivesItsCommandTheTerminal) {
  Running init({"--", "sh", "-c",
                "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.02; done"},
               /*terminal=*/true);
  ASSERT_TRUE(init.sees("ready"));
  init.type("\x03");
  EXPECT_EQ(init.code(), 3);
  EXPECT_NE(init.seen.find("interrupted"), std::string::npos) << init.seen;
}

TEST(Init, WhatTheTerminalWouldStopGoesOnSinceNobodyCouldWakeItUp) {
  Running init({"--", "sh", "-c", "echo ready; read line; echo got $line"}, /*terminal=*/true);
  ASSERT_TRUE(init.sees("ready"));
  init.type("\x1a");
  init.type("on\n");
  EXPECT_TRUE(init.sees("got on")) << init.seen;
  EXPECT_EQ(init.code(), 0);
}

TEST(Init, AShellOnTheTerminalHasJobControl) {
  Running init({"--", "sh", "-c", "set -m; sleep 5 & jobs; kill %1; wait %1; echo job $?"},
               /*terminal=*/true);
  EXPECT_TRUE(init.sees("job 143")) << init.seen;
  EXPECT_EQ(init.seen.find("job control"), std::string::npos) << init.seen;
  EXPECT_EQ(init.code(), 0);
}

TEST(Init, NestsItsCommandAsAnotherUserWithoutACapability) {
  {
    Running probe({"--map", "1001:1000", "--", "true"});
    if (const int code = probe.code(); code != 0)
      GTEST_SKIP() << "needs user namespaces, as root with CAP_SETFCAP: " << probe.seen;
  }
  for (const bool exec : {false, true}) {
    Words words = {"--map",
                   "1001:1000",
                   "--seal",
                   "--",
                   "sh",
                   "-c",
                   "id -u; id -g; cat /proc/self/uid_map; grep -h ^Cap /proc/self/status "
                   "/proc/$PPID/status; unshare -U true || echo sealed"};
    if (exec) words.insert(words.begin(), "--exec");
    Running init(words);
    EXPECT_EQ(init.code(), 0);
    EXPECT_EQ(init.seen.substr(0, 10), "1001\n1000\n") << init.seen;
    EXPECT_NE(init.seen.find("sealed\n"), std::string::npos) << init.seen;
    std::size_t none = 0;
    for (std::size_t at = 0; (at = init.seen.find("\t0000000000000000\n", at)) != std::string::npos;
         ++at)
      ++none;
    // Its own five sets, and those of PID 1, which is its parent where there is one.
    EXPECT_GE(none, exec ? 5u : 10u) << init.seen;
  }
  Running unsealed({"--map", "1001:1000", "--", "unshare", "-U", "true"});
  EXPECT_EQ(unsealed.code(), 0) << unsealed.seen;
}

TEST(Init, SealsWithoutNestingToo) {
  Running init({"--seal", "--exec", "--", "unshare", "-U", "true"});
  EXPECT_EQ(init.code(), 1);
  EXPECT_NE(init.seen.find("Operation not permitted"), std::string::npos) << init.seen;
}

}  // namespace
}  // namespace locald::shim
