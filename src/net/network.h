#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "net/endpoint.h"
#include "net/listeners.h"

namespace locald::net {

/// What connects one process to others.
struct Attachment {
  enum class Kind : std::uint8_t {
    host,  ///< it is in the host's network
    none,  ///< it has nothing but a loopback of its own
    own,   ///< it is in `netns`
  };
  Kind kind = Kind::host;
  std::shared_ptr<const UniqueFd> netns;  ///< a network namespace
  /// The namespace that `netns` is connected to: what holds this one holds that one too, since the
  /// links between them end with either.
  std::shared_ptr<const UniqueFd> sandbox;
  std::vector<std::string> addresses;  ///< where others reach it
  /// What it reaches by name, and at which addresses: goes into its /etc/hosts (hosts_file.h).
  std::map<std::string, std::vector<std::string>> names;
  std::vector<std::string> nameservers;               ///< own: for its /etc/resolv.conf
  std::vector<std::string> search, resolver_options;  ///< the same

  friend bool operator==(const Attachment&, const Attachment&) = default;
};

/// The service that is to be connected, and with which others.
struct AttachRequest {
  struct Peer {
    std::string name;                  ///< as other containers write it
    std::optional<Endpoint> endpoint;  ///< where it has been found to listen
  };
  std::string project, service;
  std::vector<Peer> peers;
};

/// A network that services are in. All that differs from one kind to the next goes through this:
/// what a start needs, which ports are free, which sockets listen. Thread-safe.
class Network {
 public:
  virtual ~Network() = default;

  /// Before a start. Blocks: on a job's thread.
  virtual Result<Attachment> attach(const AttachRequest& request) = 0;

  /// As net::check_port_free(), of this network.
  virtual Result<void> check_port_free(std::uint16_t port) const = 0;
  /// As net::free_port(), of this network.
  virtual Result<std::uint16_t> free_port() const = 0;
  /// As net::listeners(), of this network. @param port  0: all.
  virtual Result<std::vector<Listener>> listeners(std::uint16_t port) const = 0;
  /// As net::quick_listeners(), of this network: on the loop's thread.
  virtual Result<std::vector<Listener>> quick_listeners(std::uint16_t port) const = 0;
};

/// The host's own network, the only kind so far: nothing is made, all services are on loopback.
class HostNetwork final : public Network {
 public:
  /// As the configuration and the replies have it.
  static constexpr const char* kName = "host";

  Result<Attachment> attach(const AttachRequest& request) override;
  Result<void> check_port_free(std::uint16_t port) const override;
  Result<std::uint16_t> free_port() const override;
  Result<std::vector<Listener>> listeners(std::uint16_t port) const override;
  Result<std::vector<Listener>> quick_listeners(std::uint16_t port) const override;
};

}  // namespace locald::net
