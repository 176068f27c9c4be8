// The parts of the shim by themselves. The whole of it is driven by runtime_test.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/log/log_format.h"
#include "shim/execute.h"
#include "shim/kernel.h"
#include "shim/log_writer.h"
#include "shim/runc.h"
#include "shim/spec.h"
#include "shim/text.h"
#include "shim/tree.h"

namespace locald::shim {
namespace {

// --- text -----------------------------------------------------------------

TEST(Text, WritesNumbersAndCutsWhatDoesNotFit) {
  TextOf<12> text;
  text.number(-42).add(" ").number(INT64_MIN);
  EXPECT_STREQ(text.data(), "-42 -922337");
  EXPECT_TRUE(text.cut());
}

TEST(Text, EscapesForJsonAndReplacesWhatIsNoUtf8) {
  TextOf<200> text;
  const char bytes[] =
      "a\"b\\c\n\x01 \xc3\xa4 \xff \xc0\x80 \xed\xa0\x80 \xf0\x9f\x98\x80 \xe2\x82";
  text.json(bytes);
  EXPECT_STREQ(text.data(), "a\\\"b\\\\c\\n\\u0001 \xc3\xa4 ? ?? ??? \xf0\x9f\x98\x80 ??");
}

// --- the spec ---------------------------------------------------------------

int memory_file(const std::string& bytes) {
  const int fd = ::memfd_create("spec", MFD_CLOEXEC);
  EXPECT_EQ(::write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return fd;
}

std::string pairs(const std::vector<std::string>& words) {
  std::string bytes;
  for (const std::string& word : words) bytes += word + '\0';
  return bytes;
}

const char* spec_refusal(const std::string& bytes) {
  const int fd = memory_file(bytes);
  Spec spec;
  const char* why = "accepted";
  spec.read(fd, &why);
  ::close(fd);
  return why;
}

TEST(Spec, ReadsWhatTheServerWrites) {
  const int fd =
      memory_file(pairs({"kind", "host", "id",   "abc", "nonce",   "0123",     "arg", "sh",
                         "env",  "A=1",  "arg",  "-c",  "arg",     "",         "cwd", "/",
                         "tty",  "1",    "rows", "50",  "log_max", "536870912"}));
  Spec spec;
  const char* why = "";
  ASSERT_TRUE(spec.read(fd, &why)) << why;
  ::close(fd);
  EXPECT_TRUE(spec.tty);
  EXPECT_FALSE(spec.hold);
  EXPECT_EQ(spec.rows, 50);
  EXPECT_EQ(spec.log_max, 536870912u);
  char** argv = spec.list("arg");
  EXPECT_STREQ(argv[0], "sh");
  EXPECT_STREQ(argv[1], "-c");
  EXPECT_STREQ(argv[2], "");
  EXPECT_EQ(argv[3], nullptr);
}

TEST(Spec, RefusesWhatItDoesNotUnderstand) {
  EXPECT_STREQ(spec_refusal(""), "the spec is empty");
  EXPECT_STREQ(spec_refusal("kind"), "the spec has no end");
  EXPECT_STREQ(spec_refusal(pairs({"kind", "host", "cwd"})), "a key without a value in the spec");
  EXPECT_STREQ(spec_refusal(pairs({"kind", "host", "shell", "yes"})), "unknown key in the spec");
  EXPECT_STREQ(spec_refusal(pairs({"kind", "vm"})), "unknown kind in the spec");
  EXPECT_STREQ(spec_refusal(pairs({"kind", "host", "cwd", "/"})),
               "no command or folder in the spec");
  EXPECT_STREQ(spec_refusal(pairs({"kind", "host", "cwd", "/", "arg", "x", "id", "a"})),
               "no id or nonce in the spec");
  EXPECT_STREQ(spec_refusal(pairs({"kind", "host", "cwd", "/", "arg", "x", "id",
                                   std::string(64, 'a'), "nonce", "n"})),
               "no id or nonce in the spec");
}

// --- the log ----------------------------------------------------------------

class LogWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/locald-log-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override {
    for (const std::string& name : names()) ::unlink((dir_ + "/" + name).c_str());
    ::rmdir(dir_.c_str());
  }
  int folder() { return ::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }
  std::vector<std::string> names() {
    std::vector<std::string> all;
    DIR* d = ::opendir(dir_.c_str());
    while (const dirent* e = ::readdir(d))
      if (e->d_name[0] != '.') all.push_back(e->d_name);
    ::closedir(d);
    std::sort(all.begin(), all.end());
    return all;
  }
  std::string content(const std::string& name) {
    const int fd = ::open((dir_ + "/" + name).c_str(), O_RDONLY);
    struct stat st {};
    ::fstat(fd, &st);
    std::string text(static_cast<std::size_t>(st.st_size), '\0');
    const ssize_t n = ::read(fd, text.data(), text.size());
    ::close(fd);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }
  std::vector<LogRecord> records(const std::string& name) {
    const std::string bytes = content(name);
    std::vector<LogRecord> all((bytes.size() - sizeof(LogIndexHeader)) / sizeof(LogRecord));
    std::memcpy(all.data(), bytes.data() + sizeof(LogIndexHeader), all.size() * sizeof(LogRecord));
    return all;
  }
  std::string dir_;
};

TEST_F(LogWriterTest, EachPieceHasItsRecord) {
  LogWriter log;
  log.open(folder(), 0, "nonce", 7);
  log.append(LogStream::out, "one\n", 4);
  log.append(LogStream::err, "tw", 2);
  log.append(LogStream::err, "o\n", 2);
  log.close();
  ASSERT_EQ(names(), (std::vector<std::string>{"0000000000000001.idx", "0000000000000001.log"}));
  EXPECT_EQ(content("0000000000000001.log"), "one\ntwo\n");
  const auto all = records("0000000000000001.idx");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].sequence, 2u);
  EXPECT_EQ(all[1].offset, 4u);
  EXPECT_EQ(all[1].length, 2u);
  EXPECT_EQ(all[1].stream, static_cast<std::uint8_t>(LogStream::err));
  EXPECT_EQ(all[1].flags, kLogPartial);
  EXPECT_EQ(all[2].flags, 0);
  const std::string index = content("0000000000000001.idx");
  LogIndexHeader header{};
  std::memcpy(&header, index.data(), sizeof header);
  EXPECT_EQ(header.magic, kLogMagic);
  EXPECT_EQ(header.started_ns, 7u);
  EXPECT_STREQ(header.instance, "nonce");
}

TEST_F(LogWriterTest, ANewInstanceGoesOnWithTheNextNumberAndTouchesNothingOld) {
  LogWriter first, second;
  first.open(folder(), 0, "a", 1);
  first.append(LogStream::out, "a\n", 2);
  second.open(folder(), 0, "b", 2);
  second.append(LogStream::out, "b\n", 2);
  first.append(LogStream::out, "c\n", 2);
  first.close();
  second.close();
  EXPECT_EQ(content("0000000000000001.log"), "a\nc\n");
  EXPECT_EQ(content("0000000000000002.log"), "b\n");
}

TEST_F(LogWriterTest, TheFolderHoldsToItsLimitOldestFirst) {
  LogWriter log;
  const std::string piece(1000, 'x');
  log.open(folder(), 80'000, "n", 1);
  for (int i = 0; i < 1000; ++i) log.append(LogStream::out, piece.data(), piece.size());
  log.close();
  std::uint64_t bytes = 0, first = UINT64_MAX, last = 0;
  for (const std::string& name : names()) {
    bytes += content(name).size();
    first = std::min<std::uint64_t>(first, std::stoull(name));
    last = std::max<std::uint64_t>(last, std::stoull(name));
  }
  EXPECT_LE(bytes, 80'000u);
  EXPECT_GE(bytes, 60'000u);
  EXPECT_GT(first, 1u);
  EXPECT_EQ(last, 100u);  // 10 pieces fit a segment of 10 000 bytes
  EXPECT_EQ(records("0000000000000100.idx").back().sequence, 1000u);
}

TEST_F(LogWriterTest, WhatCannotBeWrittenIsCountedAndNotedWhenWritingWorksAgain) {
  // A limit on the size of files stands for the full disk: the same call fails in the same place.
  LogWriter log;
  log.open(folder(), 0, "n", 1);
  log.append(LogStream::out, "before\n", 7);
  struct sigaction ignore {
  }, old{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &ignore, &old);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{7, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  log.append(LogStream::out, "lost one\n", 9);
  log.append(LogStream::out, "lost two\n", 9);
  EXPECT_EQ(log.dropped(), 18u);
  EXPECT_EQ(log.last_error(), EFBIG);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::sigaction(SIGXFSZ, &old, nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  log.append(LogStream::out, "after\n", 6);
  log.close();
  EXPECT_EQ(content("0000000000000001.log"), "before\nafter\n");
  const auto all = records("0000000000000001.idx");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].stream, static_cast<std::uint8_t>(LogStream::note));
  EXPECT_EQ(all[1].flags, kLogDropped);
  EXPECT_EQ(all[1].length, 18u);
  EXPECT_EQ(all[2].sequence, 3u);
  EXPECT_EQ(all[2].offset, 7u);
}

// --- trees of processes ------------------------------------------------------

/// Runs `body` in a child that is a subreaper with SIGCHLD blocked, as a shim is.
int as_shim(int (*body)()) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &mask, nullptr);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void count(void* context, pid_t, int) { ++*static_cast<int*>(context); }

TEST(Tree, TwoHundredProcessesOfTheirOwnSessionsThatIgnoreEverythingAreKilled) {
  EXPECT_EQ(as_shim([] {
              const int proc = ::open("/proc", O_PATH);
              for (int i = 0; i < 200; ++i)
                if (::fork() == 0) {
                  ::setsid();
                  for (int s : {SIGTERM, SIGHUP, SIGINT}) ::signal(s, SIG_IGN);
                  if (::fork() == 0) ::setsid();
                  for (;;) ::pause();
                }
              int reaped = 0;
              pid_t left = 0;
              if (kill_below(proc, ::getpid(), 10'000, count, &reaped, &left) != TreeEnd::gone)
                return 1;
              if (::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD) return 2;
              return reaped >= 200 ? 0 : 3;
            }),
            0);
}

TEST(Tree, AChainOfForksThatRunsAwayIsCaught) {
  EXPECT_EQ(
      as_shim([] {
        const int proc = ::open("/proc", O_PATH);
        if (::fork() == 0)
          for (;;) {  // each lives a moment and leaves one child behind
            if (::fork() != 0) {
              ::usleep(300);
              ::_exit(0);
            }
            ::setsid();
          }
        ::usleep(5000);
        int reaped = 0;
        pid_t left = 0;
        return kill_below(proc, ::getpid(), 10'000, count, &reaped, &left) == TreeEnd::gone ? 0 : 1;
      }),
      0);
}

TEST(Tree, OneThatForksAsFastAsItCanIsCaught) {
  EXPECT_EQ(
      as_shim([] {
        const int proc = ::open("/proc", O_PATH);
        for (int i = 0; i < 8; ++i)
          if (::fork() == 0)
            for (;;) {
              if (::fork() == 0) {
                ::usleep(2000);
                ::_exit(0);
              }
              while (::waitpid(-1, nullptr, WNOHANG) > 0) {
              }
              ::usleep(200);
            }
        ::usleep(20000);
        int reaped = 0;
        pid_t left = 0;
        return kill_below(proc, ::getpid(), 10'000, count, &reaped, &left) == TreeEnd::gone ? 0 : 1;
      }),
      0);
}

TEST(Tree, ASignalReachesAllBelowAndNotTheRoot) {
  EXPECT_EQ(as_shim([] {
              const int proc = ::open("/proc", O_PATH);
              const pid_t child = ::fork();
              if (child == 0) {
                if (::fork() == 0) ::pause();
                for (;;) ::pause();
              }
              ::usleep(20000);
              if (!has_children(proc, child)) return 1;
              if (signal_below(proc, child, SIGUSR1, nullptr) != 1)
                return 2;  // its default is the end
              ::usleep(20000);
              const bool alive = ::waitpid(child, nullptr, WNOHANG) == 0;
              ::kill(child, SIGKILL);
              return alive ? 0 : 3;
            }),
            0);
}

// --- what runc says -----------------------------------------------------------

TEST(RuncText, OnlyCommandsThatCannotRunAre126Or127) {
  // In the same words as for a host service.
  const auto explained = [](const char* text) {
    TextOf<300> why;
    explain_runc(text, why, nullptr);
    return std::string(why.data());
  };
  EXPECT_EQ(explained("exec: \"nope\": executable file not found in $PATH"),
            "nope: command not found in PATH");
  EXPECT_EQ(explained("exec: \"/nope\": stat /nope: no such file or directory"),
            "/nope: no such file");
  EXPECT_EQ(explained("exec: \"/etc/plain\": permission denied"),
            "/etc/plain: cannot be executed: Permission denied");
  EXPECT_EQ(explained("exec /bin/bad: exec format error"),
            "/bin/bad: Exec format error: it is neither a program for this machine nor a script "
            "whose first line begins with #!");
  EXPECT_EQ(explained("runc create failed: exec /bin/script: no such file or directory"),
            "/bin/script: the interpreter that its first line (#!) names, or its loader, does not "
            "exist");
  for (const char* hung_up : {"read init-p: connection reset by peer",
                              "exec failed: unable to start: write init-p: broken pipe",
                              "error executing setns process: exit status 1"}) {
    EXPECT_EQ(explained(hung_up),
              "runc was killed before the command began: the container has ended or is being "
              "stopped, or memory is short");
    EXPECT_EQ(code_of_runc_text(hung_up), 125);
  }
  // Where the file can be seen it says which one; a link leads nowhere but into the root.
  char root[] = "/tmp/locald-runc-text-XXXXXX";
  ASSERT_NE(::mkdtemp(root), nullptr);
  const std::string script = std::string(root) + "/script", link = std::string(root) + "/link";
  const int fd = ::open(script.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  ASSERT_EQ(::write(fd, "#! /bin/sh\r\necho\r\n", 18), 18);
  ::close(fd);
  ASSERT_EQ(::symlink("/script", link.c_str()), 0);
  TextOf<300> why;
  explain_runc("exec /link: no such file or directory", why, root);
  EXPECT_STREQ(why.data(),
               "/link: the interpreter that its first line (#!) names, /bin/sh\\r, does not exist: "
               "the line ends with CRLF");
  ::unlink(script.c_str());
  ::unlink(link.c_str());
  ::rmdir(root);
  const char* other =
      "error mounting \"/x\" to rootfs at \"/y\": stat /x: no such file or directory";
  EXPECT_EQ(explained(other), other);
  EXPECT_EQ(explained("chdir to cwd (\"/nowhere\") set in config.json failed: no such file or "
                      "directory"),
            "cannot enter the working folder /nowhere: no such file or directory");
  EXPECT_EQ(code_of_runc_text("exec: \"nope\": executable file not found in $PATH"), 127);
  EXPECT_EQ(code_of_runc_text("exec: \"/nope\": stat /nope: no such file or directory"), 127);
  EXPECT_EQ(code_of_runc_text("exec: \"/etc/plain\": permission denied"), 126);
  EXPECT_EQ(code_of_runc_text("exec /bin/bad: exec format error"), 126);
  EXPECT_EQ(code_of_runc_text("exec /bin/script: no such file or directory"), 127);
  EXPECT_EQ(code_of_runc_text(
                "error mounting \"/x\" to rootfs at \"/y\": stat /x: no such file or directory"),
            125);
  EXPECT_EQ(code_of_runc_text(
                "chdir to cwd (\"/nowhere\") set in config.json failed: no such file or directory"),
            125);
}

}  // namespace
}  // namespace locald::shim
