#include "server/http/peer_check.h"

#include <unistd.h>

#include <string>

#include "base/sys/file_id.h"
#include "base/sys/sys.h"

namespace locald::server {
namespace {

Result<FileId> namespace_of(const std::string& process, const char* kind) {
  const std::string path = "/proc/" + process + "/ns/" + kind;
  const auto id = FileId::of(AT_FDCWD, path.c_str());
  if (!id) return Error::from_errno(errno, "stat " + path);
  return *id;
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
