#pragma once
#include <cstddef>

#include "base/log/log_format.h"
#include "shim/client.h"

namespace locald::shim {

/// All connections to the control socket, in a fixed number of places. For one thread.
class ClientSet {
 public:
  static constexpr int kPlaces = 16;

  /// The server that started us, connected by `fd` (taken over): it is known without hello.
  void open_control(int fd);

  /// A place for one more client: a free one, or that of a client without hello, so that a server
  /// that takes over gets in. The caller closes it. Null: there is none.
  Client* place();

  Client* begin() { return clients_; }
  Client* end() { return clients_ + kPlaces; }
  const Client* begin() const { return clients_; }
  const Client* end() const { return clients_ + kPlaces; }

  /// True if `role` `attach` has all places: one must stay a server's.
  bool all_attached() const;
  /// A client that *is* the output has not taken what was sent.
  bool output_pending() const;

  /// To all clients that are greeted; see Client::send().
  void broadcast(Frame type, const void* data, std::size_t size, const void* more = nullptr,
                 std::size_t more_size = 0);
  /// A piece of output, to all that are attached.
  void send_output(LogStream stream, const char* data, std::size_t size);

  /// The instance is over: waits until the clients have read what was sent, a client that *is* the
  /// output for as long as it likes, the others for a second.
  void linger();

 private:
  Client clients_[kPlaces];
  int next_silent_ = 0;  ///< where to look next for a client without hello
};

}  // namespace locald::shim
