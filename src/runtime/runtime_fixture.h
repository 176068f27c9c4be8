#pragma once
// What the tests of the runtime share: a home of their own, a loop, real shims.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/log/attach_protocol.h"
#include "base/loop/event_loop.h"
#include "base/paths.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "runtime/orphans.h"
#include "runtime/process_runtime.h"
#include "runtime/processes.h"
#include "runtime/user_namespace.h"

namespace locald::runtime {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// One instance as a test sees it: what its handle told.
struct Watched {
  InstanceSpec spec;
  std::unique_ptr<ServiceHandle> handle;
  int pid = 0;
  std::optional<ExitStatus> exit;
};

class RuntimeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/locald-rt-XXXXXX");
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    home_ = pattern;
    paths_ = *Paths::from_env(
        [&](const std::string& name) -> std::optional<std::string> {
          return name == "LOCALD_HOME" ? std::optional(home_) : std::nullopt;
        },
        ::getuid());
    ASSERT_TRUE(paths_->create());
    shim_ = *find_own_program("locald-shim");
    ASSERT_TRUE(become_subreaper());
    userns_ = std::make_unique<UserNamespace>(shim_);
    runtime_ = make_runtime();
  }
  void TearDown() override {
    if (runtime_) {
      auto found = runtime_->find_instances();
      if (found)
        for (auto& f : *found) (void)runtime_->clean(f.id, f.nonce);
    }
    (void)remove_tree(home_);
  }

  std::unique_ptr<ProcessRuntime> make_runtime() {
    return std::make_unique<ProcessRuntime>(ProcessRuntime::Options{
        .paths = *paths_, .shim = shim_, .runc = "/usr/sbin/runc", .user_namespace = [this] {
          return userns_->fd();
        }});
  }

  InstanceSpec instance(const std::string& name) {
    InstanceSpec spec;
    spec.id = random_hex(6);
    spec.nonce = random_hex(16);
    spec.name = name;
    spec.meta = "{\"service\":\"" + name + "\"}";
    spec.log_dir = home_ + "/log-" + name;
    return spec;
  }

  HostProcess shell(const std::string& script) {
    return {.argv = {"sh", "-c", script},
            .env = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/"},
            .cwd = home_};
  }

  std::unique_ptr<Watched> watch(InstanceSpec spec, std::unique_ptr<ServiceHandle> handle) {
    auto watched = std::make_unique<Watched>();
    watched->spec = std::move(spec);
    watched->handle = std::move(handle);
    Watched* w = watched.get();
    w->handle->listen(loop_, {.started = [w](int pid) { w->pid = pid; },
                              .exited = [w](const ExitStatus& e) { w->exit = e; }});
    return watched;
  }

  std::unique_ptr<Watched> host(InstanceSpec spec, const HostProcess& process) {
    auto handle = runtime_->run_host(spec, process);
    if (!handle) {
      ADD_FAILURE() << handle.error().text();
      return nullptr;
    }
    return watch(std::move(spec), std::move(*handle));
  }

  /// Runs the loop until `done` says so; false after `limit`.
  bool run_until(const std::function<bool()>& done, milliseconds limit = seconds(10)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      auto tick = loop_.after(milliseconds(2), [this] { loop_.stop(); });
      loop_.run();
    }
    return true;
  }

  bool wait_exit(Watched& w, milliseconds limit = seconds(10)) {
    return run_until([&] { return w.exit.has_value(); }, limit);
  }

  /// The bytes of all segments, in order.
  static std::string log_text(const std::string& dir) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir))
      if (entry.path().extension() == ".log") names.push_back(entry.path());
    std::sort(names.begin(), names.end());
    std::string text;
    for (const auto& name : names) text += *read_file(name, 1u << 30);
    return text;
  }

  static bool alive(int pid) {
    const auto stat = process_stat(pid);
    return stat && stat->state != 'Z';
  }

  bool wait_file(const std::string& path) {
    return run_until([&] { return exists(path) && std::filesystem::file_size(path) > 0; });
  }
  int pid_in(const std::string& path) {
    return static_cast<int>(parse_u64(trim(*read_file(path))).value_or(0));
  }

  std::string home_, shim_;
  std::optional<Paths> paths_;
  std::unique_ptr<UserNamespace> userns_;
  std::unique_ptr<ProcessRuntime> runtime_;
  EventLoop loop_;
};

/// A client of the control socket, as the CLI is one.
class Attached {
 public:
  Attached(const std::string& socket, const std::string& nonce,
           AttachRole role = AttachRole::attach) {
    auto fd = sys::unix_connect(socket);
    EXPECT_TRUE(fd) << (fd ? "" : fd.error().text());
    if (!fd) return;
    fd_ = std::move(*fd);
    FrameHello hello{kAttachVersion, role, {}};
    std::memcpy(hello.nonce, nonce.data(), std::min(nonce.size(), sizeof hello.nonce));
    send(Frame::hello, &hello, sizeof hello);
  }
  void send(Frame type, const void* data, std::size_t size) {
    const FrameHeader header{static_cast<std::uint32_t>(size), static_cast<std::uint8_t>(type), {}};
    std::string message(reinterpret_cast<const char*>(&header), sizeof header);
    if (size > 0) message.append(static_cast<const char*>(data), size);
    (void)sys::write_all(fd_.get(), message);
  }
  void type(const std::string& text) { send(Frame::in, text.data(), text.size()); }
  void resize(unsigned short rows, unsigned short columns) {
    const FrameResize size{rows, columns};
    send(Frame::resize, &size, sizeof size);
  }
  void signal(std::int32_t number) { send(Frame::signal, &number, sizeof number); }

  /// The next frame; false at the end of the connection or after `limit`.
  bool next(FrameHeader& header, std::string& body, milliseconds limit = seconds(5));
  /// Reads until `text` was seen in the output, the process exited, or time is up.
  bool read_until(const std::string& text, milliseconds limit = seconds(5)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    FrameHeader header{};
    std::string body;
    while (out.find(text) == std::string::npos && std::chrono::steady_clock::now() < deadline)
      if (!next(header, body, milliseconds(200)) && ended) break;
    return out.find(text) != std::string::npos;
  }
  bool read_to_end(milliseconds limit = seconds(10)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    FrameHeader header{};
    std::string body;
    while (!ended && std::chrono::steady_clock::now() < deadline)
      next(header, body, milliseconds(200));
    return ended;
  }

  UniqueFd fd_;
  std::string buffer_, out, err;
  std::optional<FrameExit> exit;
  std::string exit_text;
  bool ended = false, lost = false, failed = false;
};

}  // namespace locald::runtime
