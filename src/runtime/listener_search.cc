#include "runtime/listener_search.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "net/ports.h"
#include "runtime/processes.h"

namespace locald::runtime {
namespace {

std::uint64_t namespace_of(const std::string& pid) {
  struct stat st {};
  return ::stat(("/proc/" + pid + "/ns/net").c_str(), &st) == 0 ? st.st_ino : 0;
}

/// Inodes of the sockets that a process has open; nullopt where we may not look.
std::optional<std::set<ino_t>> sockets_of(pid_t pid) {
  std::set<ino_t> inodes;
  const auto dir = sys::open("/proc/" + std::to_string(pid) + "/fd", O_RDONLY | O_DIRECTORY);
  if (!dir) {
    if (dir.error().code() == Errc::denied) return std::nullopt;
    return inodes;  // it has ended
  }
  bool denied = false;
  (void)list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    std::array<char, 64> target{};
    const ssize_t n = ::readlinkat(dir->get(), name.c_str(), target.data(), target.size() - 1);
    denied = denied || (n < 0 && errno == EACCES);
    unsigned long inode = 0;
    if (n > 0 && std::sscanf(target.data(), "socket:[%lu]", &inode) == 1) inodes.insert(inode);
    return {};
  });
  if (denied) return std::nullopt;
  return inodes;
}

/// Walks one tree, with what is known of network namespaces from the trees before.
class Walk {
 public:
  Walk(std::uint16_t port, std::vector<net::Listener> here)
      : port_(port), own_(namespace_of("self")), here_(std::move(here)) {}

  net::TreeListeners below(pid_t root) {
    net::TreeListeners out;
    std::vector<pid_t> todo{root};
    std::set<pid_t> seen;
    std::set<ino_t> taken;
    while (!todo.empty()) {
      const pid_t pid = todo.back();
      todo.pop_back();
      if (!seen.insert(pid).second) continue;
      each_child(pid, [&](pid_t child) { todo.push_back(child); });
      const std::uint64_t netns = namespace_of(std::to_string(pid));
      const std::vector<net::Listener>& there = in(netns, pid);
      if (there.empty() && netns != 0) continue;  // whatever it has open, it listens nowhere
      const auto sockets = sockets_of(pid);
      if (!sockets) {
        struct stat st {};
        if (::stat(("/proc/" + std::to_string(pid)).c_str(), &st) == 0)
          out.unreadable.insert(st.st_uid);
        continue;
      }
      for (const net::Listener& l : there)
        if (sockets->contains(l.inode) && taken.insert(l.inode).second) out.listeners.push_back(l);
    }
    return out;
  }

 private:
  const std::vector<net::Listener>& in(std::uint64_t netns, pid_t pid) {
    if (netns == 0 || netns == own_) return here_;
    const auto known = elsewhere_.find(netns);
    if (known != elsewhere_.end()) return known->second;
    auto found = net::listeners_by_text(std::to_string(pid), netns);
    std::vector<net::Listener>& list = elsewhere_[netns];
    if (found) list = std::move(*found);
    std::erase_if(list, [this](const net::Listener& l) { return port_ != 0 && l.port != port_; });
    return list;
  }

  std::uint16_t port_;
  std::uint64_t own_;
  std::vector<net::Listener> here_;
  std::map<std::uint64_t, std::vector<net::Listener>> elsewhere_;
};

/// Whose sockets are not its tree's although they are a user's whose processes there are hidden: a
/// readable process of the tree would have shown them.
void find_others(net::TreeListeners& tree, std::uint16_t port) {
  const auto all = net::listeners(port);
  if (!all) return;
  for (const net::Listener& l : *all) {
    const auto is = [&](const net::Listener& own) { return own.inode == l.inode; };
    if (!tree.unreadable.contains(l.uid) ||
        std::any_of(tree.listeners.begin(), tree.listeners.end(), is))
      continue;
    const auto holder = net::find_port_holder(port, {l.inode});
    if (holder && holder->pid != 0) tree.others.insert(l.inode);
  }
}

}  // namespace

const Fields& ListenersJob::fields() {
  using J = ListenersJob;
  static const Fields table =
      job_fields<J>().required("roots", &J::roots, "processes").field("port", &J::port, "0: all");
  return table;
}

const Fields& ListenersTree::fields() {
  using T = ListenersTree;
  static const Fields table =
      FieldsOf<T>("tree")
          .required("listeners", &T::listeners, "of all its processes")
          .required("unreadable", &T::unreadable, "whose processes could not be looked at");
  return table;
}

const Fields& ListenersResult::fields() {
  using R = ListenersResult;
  static const Fields table =
      FieldsOf<R>("listeners").required("trees", &R::trees, "in the order of the roots");
  return table;
}

Result<std::vector<net::TreeListeners>> listeners_below(const std::vector<pid_t>& roots,
                                                        std::uint16_t port) {
  Walk walk(port, TRY(net::listeners(port)));
  std::vector<net::TreeListeners> out;
  out.reserve(roots.size());
  for (const pid_t root : roots) out.push_back(walk.below(root));
  return out;
}

Result<std::vector<net::TreeListeners>> ListenerSearch::below(const std::vector<pid_t>& roots,
                                                              std::uint16_t port) const {
  std::vector<net::TreeListeners> out = TRY(listeners_below(roots, port));
  TRY(look_into_hidden(roots, port, out));
  if (port != 0)
    for (net::TreeListeners& tree : out)
      if (!tree.unreadable.empty()) find_others(tree, port);
  return out;
}

Result<void> ListenerSearch::look_into_hidden(const std::vector<pid_t>& roots, std::uint16_t port,
                                              std::vector<net::TreeListeners>& out) const {
  if (!run_) return {};
  ListenersJob job{.port = port};
  std::vector<std::size_t> where;
  for (std::size_t i = 0; i < roots.size(); ++i)
    if (!out[i].unreadable.empty()) {
      job.roots.push_back(roots[i]);
      where.push_back(i);
    }
  if (where.empty()) return {};
  const auto found = TRY(
      decode<ListenersResult>(TRY(run_(encode(job)))).context("look at the sockets of containers"));
  for (std::size_t i = 0; i < where.size() && i < found.trees.size(); ++i) {
    net::TreeListeners& tree = out[where[i]];
    // What neither of us may see is a program with more rights than ours: the host's numbers stay.
    if (found.trees[i].unreadable.empty()) tree.unreadable.clear();
    for (const net::Listener& l : found.trees[i].listeners) {
      const bool known = std::any_of(tree.listeners.begin(), tree.listeners.end(),
                                     [&](const net::Listener& k) { return k.inode == l.inode; });
      if (!known) tree.listeners.push_back(l);
    }
  }
  return {};
}

Result<Json> listeners_job(const Json& json) {
  const auto job = TRY(decode<ListenersJob>(json));
  ListenersResult out;
  for (net::TreeListeners& tree : TRY(listeners_below(job.roots, job.port)))
    out.trees.push_back(
        {std::move(tree.listeners), {tree.unreadable.begin(), tree.unreadable.end()}});
  return encode(out);
}

}  // namespace locald::runtime
