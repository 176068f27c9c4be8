#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "base/log/attach_protocol.h"

namespace locald::shim {

/// One connection to the control socket: frames in, frames out, both bounded.
/// Nothing here blocks; memory is mapped when first needed and given back at the end.
class Client {
 public:
  static constexpr std::uint32_t kOutMax = 1u << 20;
  static constexpr std::uint32_t kInMax = kFrameMax + sizeof(FrameHeader);

  void open(int fd);  ///< takes over; non-blocking
  void close();
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  /// Queues or sends a frame. A client whose buffer is full is told `lost` and closed.
  void send(Frame type, const void* data, std::size_t size, const void* more = nullptr,
            std::size_t more_size = 0);
  bool pending() const { return out_used_ > 0; }
  void flush();  ///< when writable

  /// Reads the available bytes. False when the peer is gone (what came before is still in the
  /// buffer).
  bool receive();
  bool can_receive() const { return in_used_ < kInMax; }
  /// The next whole frame, or null. `oversized` closes the connection.
  const FrameHeader* frame(const char** body);
  void consume(std::uint32_t body_bytes);  ///< of the frame; 0 … header.length
  void finish_after_flush() { closing_ = true; }
  bool closing() const { return closing_; }

  bool greeted = false;
  bool is_output =
      false;  ///< `hold`: the first to attach; reading goes on when it has taken what was sent
  AttachRole role = AttachRole::attach;
  int passed = -1;  ///< a descriptor that came along; closed with the client unless taken
  std::uint32_t frame_done =
      0;  ///< bytes of the frame at the head that are dealt with (stdin that was full)

 private:
  void append(const void* data, std::size_t size);
  int fd_ = -1;
  bool closing_ = false;
  char *out_ = nullptr, *in_ = nullptr;
  std::uint32_t out_at_ = 0, out_used_ = 0, in_used_ = 0;
};

/// Makes ctl.sock in the folder, 0600, and listens. -1 and errno on failure. Leaves the working
/// folder changed.
int listen_control(int folder);

/// R-OWNER: the owner alone, from the server's side of the namespaces. `inside` is true for
/// a shim in a pid namespace of its own: there every rightful peer is outside, pid 0.
bool peer_allowed(int fd, int proc, bool inside);

}  // namespace locald::shim
