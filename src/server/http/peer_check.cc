#include "server/http/peer_check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/sys/sys.h"

namespace locald::server {
namespace {

struct Namespace {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const Namespace&, const Namespace&) = default;
};

Result<Namespace> namespace_of(const std::string& process, const char* kind) {
  const std::string path = "/proc/" + process + "/ns/" + kind;
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return Error::from_errno(errno, "stat " + path);
  return Namespace{st.st_dev, st.st_ino};
}

}  // namespace

Result<void> check_peer(int socket) {
  const sys::PeerCred peer = TRY(sys::peer_cred(socket));
  if (peer.uid != ::geteuid())
    return Error(Errc::denied, "the client is user " + std::to_string(peer.uid) + ", not " +
                                   std::to_string(::geteuid()));
  if (peer.pid == 0) return Error(Errc::denied, "the client is outside of our pid namespace");
  for (const char* kind : {"pid", "user"}) {
    auto theirs = namespace_of(std::to_string(peer.pid), kind);
    // Unreadable is what a process of ours looks like that went into another user namespace.
    if (!theirs || *theirs != TRY(namespace_of("self", kind)))
      return Error(Errc::denied, "the client (pid " + std::to_string(peer.pid) +
                                     ") is in another " + kind + " namespace");
  }
  return {};
}

}  // namespace locald::server
