#include <atomic>
#include <cstdio>
#include <fstream>

#include "net/endpoint.h"
#include "netd/dns_testing.h"
#include "netd/netd_testing.h"

/// Figures of locald-netd beside those of a connection without it: netd_bench [SECONDS]. As root.
/// LOCALD_NETD names another binary (the release build's).
namespace locald::netd {
namespace {

using net::AddressAndPort;
using net::testing::address;
using net::testing::listen_in;
using net::testing::subnet;
using testing::kWeb;
using testing::World;
using Clock = std::chrono::steady_clock;

std::chrono::milliseconds length{1000};
constexpr std::size_t kRequest = 80, kResponse = 200;

/// Takes connections; each has a thread.
class Server {
 public:
  enum class Kind { respond, discard, send };
  Server(const UniqueFd& netns, const char* at, std::uint16_t port, Kind kind)
      : listener_(listen_in(netns, address(at), port)), kind_(kind) {
    thread_ = std::jthread([this] {
      while (true) {
        UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client) return;
        std::thread([kind = kind_, client = std::move(client)] { serve(client, kind); }).detach();
      }
    });
  }
  ~Server() { ::shutdown(listener_.get(), SHUT_RDWR); }

 private:
  static void serve(const UniqueFd& client, Kind kind) {
    std::vector<char> bytes(kind == Kind::respond ? 4096 : 1 << 18);
    while (true) {
      if (kind != Kind::send && ::recv(client.get(), bytes.data(), bytes.size(), 0) <= 0) return;
      const std::size_t size = kind == Kind::send ? bytes.size() : kResponse;
      if (kind != Kind::discard && ::send(client.get(), bytes.data(), size, MSG_NOSIGNAL) < 0)
        return;
    }
  }
  UniqueFd listener_;
  Kind kind_;
  std::jthread thread_;
};

/// Runs `work(stop)` in `count` threads in `netns`; @return the sum of what they return, per second.
template <typename Work>
double per_second(const UniqueFd& netns, int count, const Work& work) {
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> sum = 0;
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i)
      threads.emplace_back([&] {
        (void)net::in_namespace(netns.get(), [&]() -> Result<void> {
          sum += work(stop);
          return {};
        });
      });
    std::this_thread::sleep_for(length);
    stop = true;
  }
  return static_cast<double>(sum) / std::chrono::duration<double>(Clock::now() - start).count();
}
UniqueFd to_server(const net::SocketAddress& to) {
  UniqueFd out(::socket(to.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{2, 0};
  ::setsockopt(out.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(out.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(out.get(), to.get(), to.size()) != 0) out.reset();
  return out;
}
bool exchange(const UniqueFd& socket) {
  std::array<char, kRequest> request{};
  std::array<char, 4096> response;
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return false;
  for (std::size_t got = 0; got < kResponse;) {
    const ssize_t n = ::recv(socket.get(), response.data(), response.size(), 0);
    if (n <= 0) return false;
    got += static_cast<std::size_t>(n);
  }
  return true;
}

struct Way {
  const char* name;
  const UniqueFd* from;
  const char* to;
  std::uint16_t first_port;  ///< responds; +1 discards; +2 sends
};

std::vector<std::string> pids_of(pid_t netd) {
  const std::string own = std::to_string(netd);
  std::vector<std::string> out{own};
  std::ifstream children("/proc/" + own + "/task/" + own + "/children");
  for (std::string pid; children >> pid;) out.push_back(pid);
  return out;
}
/// How long netd's processes have run so far.
double run_seconds(pid_t netd) {
  double out = 0;
  for (const std::string& pid : pids_of(netd)) {
    double ran = 0;
    std::ifstream("/proc/" + pid + "/schedstat") >> ran;
    out += ran / 1e9;
  }
  return out;
}

void measure(const World& w, const Way& way) {
  const auto at = [&](int plus) {
    return net::SocketAddress(address(way.to), static_cast<std::uint16_t>(way.first_port + plus));
  };
  const auto fresh = [&, to = at(0)](const std::atomic<bool>& stop) {
    std::uint64_t out = 0;
    while (!stop)
      if (const UniqueFd socket = to_server(to); socket && exchange(socket)) ++out;
    return out;
  };
  const auto kept = [&, to = at(0)](const std::atomic<bool>& stop) {
    std::uint64_t out = 0;
    const UniqueFd socket = to_server(to);
    while (!stop && exchange(socket)) ++out;
    return out;
  };
  const auto upload = [&, to = at(1)](const std::atomic<bool>& stop) {
    std::uint64_t out = 0;
    const std::vector<char> bytes(1 << 18);
    const UniqueFd socket = to_server(to);
    for (ssize_t n = 0; !stop && n >= 0; out += static_cast<std::uint64_t>(n > 0 ? n : 0))
      n = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return out;
  };
  const auto download = [&, to = at(2)](const std::atomic<bool>& stop) {
    std::uint64_t out = 0;
    std::vector<char> bytes(1 << 18);
    const UniqueFd socket = to_server(to);
    for (ssize_t n = 0; !stop && n >= 0; out += static_cast<std::uint64_t>(n > 0 ? n : 0))
      n = ::recv(socket.get(), bytes.data(), bytes.size(), 0);
    return out;
  };
  const auto gigabits = [](double bytes) { return bytes * 8 / 1e9; };
  const UniqueFd& from = *way.from;
  std::vector<double> cpu;  // of netd, for each thing
  const auto run = [&](int threads, const auto& work) {
    const double before = run_seconds(w.netd->pid());
    const auto start = Clock::now();
    const double rate = per_second(from, threads, work);
    const double count = rate * std::chrono::duration<double>(Clock::now() - start).count();
    cpu.push_back((run_seconds(w.netd->pid()) - before) / count);
    return rate;
  };
  std::printf("%-22s", way.name);
  std::printf(" %8.0f", run(1, fresh));
  std::printf(" %8.0f", run(8, fresh));
  std::printf(" %8.0f", run(1, kept));
  std::printf(" %8.0f", run(8, kept));
  std::printf(" %7.1f", gigabits(run(1, upload)));
  std::printf(" %7.1f", gigabits(run(1, download)));
  std::printf(" %7.1f", gigabits(run(8, upload)));
  std::printf(" %7.1f\n", gigabits(run(8, download)));
  if (cpu[0] < 1e-7) return;
  std::printf("%-22s %6.0fus %6.0fus %6.1fus %6.1fus", "  netd's time for each", cpu[0] * 1e6,
              cpu[1] * 1e6, cpu[2] * 1e6, cpu[3] * 1e6);
  for (std::size_t k = 4; k < 8; ++k) std::printf(" %4.0fms/G", cpu[k] * 1e12);
  std::printf("\n");
}

/// The sum over its processes of a number behind `word` in a file of /proc/PID.
long sum(pid_t netd, const char* file, std::string_view word) {
  long out = 0;
  for (const std::string& pid : pids_of(netd)) {
    std::ifstream lines("/proc/" + pid + "/" + file);
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(word)) out += std::atol(line.c_str() + word.size());
  }
  return out;
}
void idle(const World& w, const char* when) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // what a quiet one gives back
  const long before = sum(w.netd->pid(), "status", "voluntary_ctxt_switches:");
  std::this_thread::sleep_for(3 * length);
  const long woken = sum(w.netd->pid(), "status", "voluntary_ctxt_switches:") - before;
  std::printf("%s: PSS %ld KiB (own %ld), %ld wake-ups in %.0f s\n", when,
              sum(w.netd->pid(), "smaps_rollup", "Pss:"),
              sum(w.netd->pid(), "smaps_rollup", "Private_Dirty:"), woken,
              std::chrono::duration<double>(3 * length).count());
}

void names(const World& w) {
  for (const net::IpAddress& server : {address("10.90.0.1"), net::kServiceDns.address}) {
    const double rate = per_second(w.service, 4, [&](const std::atomic<bool>& stop) {
      std::uint64_t out = 0;
      const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const net::SocketAddress to(server, 53);
      (void)::connect(socket.get(), to.get(), to.size());
      const std::string question = testing::query("db");
      std::array<char, 512> bytes;
      const timeval limit{1, 0};
      ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      for (; !stop; ++out) {
        if (::send(socket.get(), question.data(), question.size(), 0) < 0) break;
        if (::recv(socket.get(), bytes.data(), bytes.size(), 0) < 0) break;
      }
      return out;
    });
    std::printf("names at %s: %.0f /s\n", server.text().c_str(), rate);
  }
}

int run() {
  ::signal(SIGPIPE, SIG_IGN);
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  const World w;
  net::NetdPlan plan;
  plan.names = {{0, "db", {address("10.90.0.2")}}};
  plan.services = {{"db", true, {0}}};
  std::vector<std::unique_ptr<Server>> servers;
  for (const std::uint16_t i : {0, 1, 2}) {
    const auto port = static_cast<std::uint16_t>(80 + i),
               outside = static_cast<std::uint16_t>(8080 + i);
    plan.ports.push_back(
        {{address(net::kLoopback), outside}, true, AddressAndPort{kWeb.address, port}});
    for (const auto& [netns, at] :
         {std::pair(&w.service, "0.0.0.0"), {&w.elsewhere, "192.0.2.9"}, {&w.host, net::kLoopback}})
      servers.push_back(std::make_unique<Server>(*netns, at, port, static_cast<Server::Kind>(i)));
  }
  w.plan(plan, {&w.service});
  w.netd->outside({{}, {subnet("10.90.0.0/24")}, {}});
  idle(w, "idle");
  std::printf("%-22s %8s %8s %8s %8s %7s %7s %7s %7s\n", "", "new/s", "by 8", "kept/s", "by 8",
              "in Gb/s", "out", "8 in", "8 out");
  measure(w, {"loopback", &w.host, net::kLoopback, 80});
  measure(w, {"host to service", &w.sandbox, "10.90.0.2", 80});
  measure(w, {"published port", &w.host, net::kLoopback, 8080});
  measure(w, {"host to elsewhere", &w.host, "192.0.2.9", 80});
  measure(w, {"relay to elsewhere", &w.service, "192.0.2.9", 80});
  names(w);
  idle(w, "after the load");
  servers.clear();
  return 0;
}

}  // namespace
}  // namespace locald::netd

int main(int argc, char** argv) {
  if (argc > 1) locald::netd::length *= std::max(1, std::atoi(argv[1]));
  return locald::netd::run();
}
