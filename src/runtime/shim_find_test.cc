// Shims of an earlier server: found, known, kept, also where they do not answer or what is written
// of them is damaged or deleted.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime/runtime_fixture.h"
#include "runtime/shim_launch.h"

namespace locald::runtime {
namespace {

class ShimFindTest : public RuntimeTest {
 protected:
  /// A service that runs, and whose server is gone.
  InstanceSpec left_running(const std::string& name, int* pid = nullptr, int* shim = nullptr) {
    auto w = host(instance(name), shell("sleep 1000"));
    EXPECT_TRUE(w && run_until([&] { return w->pid != 0; }));
    if (pid != nullptr) *pid = w->pid;
    if (shim != nullptr) *shim = w->handle->shim_pid();
    return w->spec;
  }
  ProcessRuntime::Found find(const InstanceSpec& spec) {
    auto found = make_runtime()->find_instances();
    EXPECT_TRUE(found);
    for (auto& f : *found)
      if (f.id == spec.id) return std::move(f);
    ADD_FAILURE() << spec.id << " was not found";
    return {};
  }
  void end(Watched& w) {
    EXPECT_TRUE(w.handle->stop(SIGKILL, milliseconds(0)));
    EXPECT_TRUE(wait_exit(w));
    EXPECT_TRUE(runtime_->clean(w.spec.id, w.spec.nonce));
    EXPECT_FALSE(exists(paths_->instance_record(w.spec.id)));
  }
  static void spoil(const std::string& path) { std::ofstream(path) << "\x7f{garbage"; }
};

TEST_F(ShimFindTest, OneThatDoesNotAnswerIsKeptAndAnswersLater) {
  int pid = 0, shim = 0;
  const InstanceSpec spec = left_running("quiet", &pid, &shim);
  ASSERT_EQ(::kill(shim, SIGSTOP), 0);
  auto found = find(spec);
  ASSERT_TRUE(found.live) << found.exit.reason;
  EXPECT_NE(found.live->trouble().find("does not answer"), std::string::npos);
  EXPECT_TRUE(alive(pid));
  auto w = watch(spec, std::move(found.live));
  ASSERT_EQ(::kill(shim, SIGCONT), 0);
  ASSERT_TRUE(run_until([&] { return w->pid == pid; }));
  EXPECT_EQ(w->handle->trouble(), "");
  end(*w);
}

TEST_F(ShimFindTest, ManyThatDoNotAnswerCostOneSecondTogether) {
  std::vector<InstanceSpec> specs;
  std::vector<int> shims(5);
  for (int& shim : shims) {
    specs.push_back(left_running("quiet", nullptr, &shim));
    ASSERT_EQ(::kill(shim, SIGSTOP), 0);
  }
  const auto before = std::chrono::steady_clock::now();
  auto found = make_runtime()->find_instances();
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(3));
  ASSERT_TRUE(found);
  for (const auto& f : *found) EXPECT_TRUE(f.live);
  for (const int shim : shims) ASSERT_EQ(::kill(shim, SIGCONT), 0);
}

TEST_F(ShimFindTest, AHintFitsWhyAShimIsNotReached) {
  int shim = 0;
  const InstanceSpec spec = left_running("hint", nullptr, &shim);
  const auto hint = [&] {
    const auto record = read_kept(*paths_, spec.id);
    EXPECT_TRUE(record);
    const auto reached = connect_shim(*record);
    return reached ? "reached" : reached.error().hint();
  };
  ASSERT_EQ(::kill(shim, SIGSTOP), 0);
  EXPECT_NE(hint().find("kill -CONT " + std::to_string(shim)), std::string::npos) << hint();
  ASSERT_EQ(::kill(shim, SIGCONT), 0);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ::close(next);
  const rlimit few{static_cast<rlim_t>(next) + 6, before.rlim_max};  // the reserve alone
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const std::string starved = hint();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_NE(starved.find("ulimit -n"), std::string::npos) << starved;
  ASSERT_TRUE(remove_tree(paths_->run()));
  EXPECT_NE(hint().find("locald restart"), std::string::npos) << hint();
  auto w = watch(spec, find(spec).live);
  end(*w);
}

TEST_F(ShimFindTest, OneThatDoesNotAnswerEndsByTheUsersWord) {
  int pid = 0, shim = 0;
  const InstanceSpec spec = left_running("stuck", &pid, &shim);
  ASSERT_EQ(::kill(shim, SIGSTOP), 0);
  auto w = watch(spec, find(spec).live);
  end(*w);
  EXPECT_FALSE(alive(pid));
}

TEST_F(ShimFindTest, OneThatItsServerNeverHeardOfIsFoundWithoutTheRunFolder) {
  // The server is killed between the shim's exec and its first word.
  const std::string killer = home_ + "/shim";
  std::ofstream(killer) << "#!/bin/sh\nkill -9 $PPID\nexec " << shim_ << " \"$@\"\n";
  ASSERT_EQ(::chmod(killer.c_str(), 0700), 0);
  const InstanceSpec spec = instance("early");
  const pid_t server = ::fork();
  if (server == 0) {
    shim_ = killer;
    (void)make_runtime()->run_host(spec, shell("sleep 1000"));
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(server, &status, 0), server);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  ASSERT_TRUE(run_until([&] { return bool(read_instance(paths_->instance(spec.id))); }));
  ASSERT_TRUE(remove_tree(paths_->run()));
  auto found = find(spec);
  ASSERT_TRUE(found.live) << found.exit.reason;
  EXPECT_EQ(found.meta, spec.meta);
  auto w = watch(spec, std::move(found.live));
  end(*w);
}

TEST_F(ShimFindTest, AStartThatFailedLeavesNoShim) {
  // Its connection is lost after it has started.
  std::string deaf = home_ + "/shim";
  std::ofstream(deaf) << "#!/bin/sh\n" << shim_ << " \"$@\" 5>&- &\nsleep 0.5\n";
  ASSERT_EQ(::chmod(deaf.c_str(), 0700), 0);
  std::swap(shim_, deaf);
  auto w = make_runtime()->run_host(instance("lost"), shell("echo $$ > pid; sleep 1000"));
  std::swap(shim_, deaf);
  EXPECT_FALSE(w);
  const auto pid = read_file(home_ + "/pid");
  ASSERT_TRUE(pid);
  EXPECT_FALSE(alive(std::stoi(*pid)));
  EXPECT_EQ(kept_ids(*paths_)->size(), 0u);
}

TEST_F(ShimFindTest, WithoutDescriptorsNothingIsTakenForDead) {
  int pid = 0;
  const InstanceSpec spec = left_running("fds", &pid);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ::close(next);
  const rlimit few{static_cast<rlim_t>(next) + 6, before.rlim_max};  // the reserve alone
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  auto found = find(spec);
  auto w = found.live ? watch(spec, std::move(found.live)) : nullptr;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(w) << found.exit.reason;
  EXPECT_TRUE(alive(pid));
  EXPECT_NE(w->handle->trouble().find("Too many open files"), std::string::npos)
      << w->handle->trouble();
  ASSERT_TRUE(run_until([&] { return w->pid == pid; }));  // it tries again by itself
  end(*w);
}

TEST_F(ShimFindTest, AStartWithoutDescriptorsLeavesNothingOnceThereAreSome) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ::close(next);
  const InstanceSpec spec = instance("few");
  const HostProcess process = shell("sleep 1000");
  ASSERT_TRUE(make_dirs(paths_->instances(), 0700));
  std::thread gives_back([&] {
    const auto deadline = std::chrono::steady_clock::now() + seconds(10);
    while (!exists(paths_->instance(spec.id)) && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    std::this_thread::sleep_for(milliseconds(100));  // it fails, and its cleaning too
    ::setrlimit(RLIMIT_NOFILE, &before);
  });
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto handle = runtime_->run_host(spec, process);
  gives_back.join();
  ASSERT_FALSE(handle);
  EXPECT_EQ(handle.error().sys_errno(), EMFILE) << handle.error().text();
  EXPECT_FALSE(exists(paths_->instance(spec.id)));
}

TEST_F(ShimFindTest, ADeletedRunFolderHidesNothing) {
  int pid = 0;
  const InstanceSpec spec = left_running("wiped", &pid);
  ASSERT_TRUE(remove_tree(paths_->run()));
  auto found = find(spec);
  ASSERT_TRUE(found.live) << found.exit.reason;
  EXPECT_EQ(found.meta, spec.meta);
  EXPECT_NE(found.live->trouble().find("was deleted"), std::string::npos);
  auto w = watch(spec, std::move(found.live));
  EXPECT_TRUE(w->handle->stop(0, seconds(5)));
  ASSERT_TRUE(wait_exit(*w));
  EXPECT_FALSE(alive(pid));
  EXPECT_TRUE(runtime_->clean(spec.id, spec.nonce));
  EXPECT_FALSE(exists(paths_->instance_record(spec.id)));
}

TEST_F(ShimFindTest, ADeletedFolderIsWrittenBackAndTheShimListensThere) {
  auto w = host(instance("back"), shell("while ! [ -e go ]; do sleep 0.01; done; exit 6"));
  ASSERT_TRUE(w && run_until([&] { return w->pid != 0; }));
  ASSERT_TRUE(remove_tree(paths_->run()));
  ASSERT_TRUE(remove_tree(paths_->instance_records()));
  ASSERT_TRUE(w->handle->write_back());
  ASSERT_TRUE(run_until([&] { return exists(w->handle->control_socket()); }));
  EXPECT_TRUE(exists(paths_->instance_record(w->spec.id)));
  Attached client(w->handle->control_socket(), w->spec.nonce);
  FrameHeader header{};
  std::string body;
  ASSERT_TRUE(client.next(header, body));
  EXPECT_EQ(header.type, static_cast<std::uint8_t>(Frame::status));
  const InstanceSpec spec = w->spec;
  w.reset();  // this server is gone, too
  auto again = watch(spec, find(spec).live);
  EXPECT_EQ(again->handle->trouble(), "");
  { std::ofstream(home_ + "/go") << "x"; }
  ASSERT_TRUE(wait_exit(*again));
  EXPECT_EQ(again->exit->code, 6);
  EXPECT_TRUE(read_exit(paths_->instance(spec.id), spec.nonce));
}

TEST_F(ShimFindTest, ADamagedRecordIsMadeUpForByItsCopy) {
  int pid = 0;
  const InstanceSpec spec = left_running("damaged", &pid);
  spoil(paths_->instance(spec.id) + "/instance.json");
  auto found = find(spec);
  ASSERT_TRUE(found.live) << found.exit.reason;
  EXPECT_EQ(found.nonce, spec.nonce);
  EXPECT_EQ(found.meta, spec.meta);
  EXPECT_EQ(found.live->trouble(), "");
  auto w = watch(spec, std::move(found.live));
  ASSERT_TRUE(run_until([&] { return w->pid == pid; }));
  end(*w);
}

TEST_F(ShimFindTest, WithoutAnyRecordTheShimItselfIsAsked) {
  for (const bool stopped : {false, true}) {
    int pid = 0, shim = 0;
    const InstanceSpec spec = left_running("shop/web", &pid, &shim);
    spoil(paths_->instance(spec.id) + "/instance.json");
    ASSERT_TRUE(remove_tree(paths_->instance_record(spec.id)));
    // One that is stopped cannot be asked: then /proc is, as with an older one.
    ASSERT_EQ(::kill(shim, stopped ? SIGSTOP : 0), 0);
    auto found = find(spec);
    ASSERT_EQ(::kill(shim, SIGCONT), 0);
    ASSERT_TRUE(found.live) << found.exit.reason;
    EXPECT_EQ(found.nonce, spec.nonce);
    const auto meta = Json::parse(found.meta);
    ASSERT_TRUE(meta);
    EXPECT_EQ((*meta)["service"].as_string(), stopped ? "web" : "shop/web");
    auto w = watch(spec, std::move(found.live));
    ASSERT_TRUE(run_until([&] { return w->pid == pid; }));
    end(*w);
  }
}

TEST_F(ShimFindTest, TwoRecordsThatDisagreeAreSettledByTheShim) {
  int pid = 0;
  const InstanceSpec spec = left_running("flipped", &pid);
  const std::string path = paths_->instance(spec.id) + "/instance.json";
  std::string text = *read_file(path);
  text.replace(text.find(spec.nonce), 1, spec.nonce[0] == 'a' ? "b" : "a");
  ASSERT_TRUE(write_file_atomic(path, text));
  auto found = find(spec);
  ASSERT_TRUE(found.live) << found.exit.reason;
  EXPECT_EQ(found.nonce, spec.nonce);
  EXPECT_EQ(found.live->trouble(), "");
  auto w = watch(spec, std::move(found.live));
  end(*w);
}

TEST_F(ShimFindTest, ACopyOfWhatHasEndedIsNoService) {
  auto w = host(instance("over"), shell("exit 0"));
  ASSERT_TRUE(w);
  const int shim = w->handle->shim_pid();
  ASSERT_TRUE(wait_exit(*w));
  // It tells of the end before its own.
  ASSERT_TRUE(run_until([&] { return !alive(shim); }));
  ASSERT_TRUE(remove_tree(paths_->run()));
  auto found = find(w->spec);
  EXPECT_FALSE(found.live);
  EXPECT_TRUE(runtime_->clean(w->spec.id, w->spec.nonce));
  EXPECT_FALSE(exists(paths_->instance_record(w->spec.id)));
}

TEST(InstanceRecord, OfAnOlderServerIsReadAndADamagedOneIsSaid) {
  const std::string older =
      R"({"format":1,"id":"0123456789ab","nonce":"00112233445566778899aabbccddeeff",)"
      R"("name":"shop/web","kind":"host","meta":"{\"life\":1}","log_dir":"/l","boot_id":"b",)"
      R"("shim_pid":42,"shim_start":7})";
  const auto record = InstanceRecord::parse(older, "x");
  ASSERT_TRUE(record) << record.error().text();
  EXPECT_EQ(record->shim_pid, 42);
  EXPECT_TRUE(record->writable.empty());
  EXPECT_FALSE((*Json::parse(record->to_text())).contains("writable"));
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), older.substr(0, older.size() / 2),
        std::string(R"({"format":1})")}) {
    const auto damaged = InstanceRecord::parse(text, "x");
    ASSERT_FALSE(damaged) << text;
    EXPECT_EQ(damaged.error().code(), Errc::corrupt);
  }
  EXPECT_EQ(InstanceRecord::parse(R"({"format":2})", "x").error().code(), Errc::unsupported);
}

TEST(InstanceRecord, SaysWhichFoldersAreWritable) {
  InstanceRecord record;
  record.id = record.nonce = record.boot_id = "x";
  record.kind = "container";
  record.name = "shop/web";
  record.shim_pid = 42;
  record.shim_start = 7;
  record.writable.resize(3);
  record.writable[0].id.device = static_cast<dev_t>(-1);
  record.writable[0].id.inode = static_cast<ino_t>(-2);
  record.writable[0].path = "/src";
  record.writable[1].id.inode = 3;
  record.writable[1].path = "/no\xfftext";
  record.writable[2].path = "/" + std::string(4000, 'x');
  const auto again = InstanceRecord::parse(record.to_text(), "x");
  ASSERT_TRUE(again) << again.error().text();
  record.writable[1].path.clear();  // would be no JSON
  record.writable[2].path.clear();  // a shim says a page at most
  EXPECT_EQ(again->writable, record.writable);
  EXPECT_LT(record.to_text().size(), 1500u);
  ASSERT_EQ(again->shared().size(), 3u);
  EXPECT_EQ(again->shared()[0].by, "service web of project shop");
  EXPECT_EQ(again->shared()[0].path, "/src");
  EXPECT_TRUE(again->shared()[0].id == record.writable[0].id);
  record.name = "container/one";
  EXPECT_EQ(record.shared()[1].by, "container one");
  const auto odd = InstanceRecord::parse(
      R"({"format":1,"id":"a","nonce":"b","kind":"host","boot_id":"c","shim_pid":1,"shim_start":2,)"
      R"("writable":[7,{"device":1},{"device":1,"inode":2,"path":5}]})",
      "x");
  ASSERT_TRUE(odd) << odd.error().text();
  EXPECT_EQ(odd->writable.size(), 1u);
}

}  // namespace
}  // namespace locald::runtime
