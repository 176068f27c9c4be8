#pragma once
#include <cstdint>

/// What a client (the CLI, the server) and a shim say over the shim's control
/// socket. Shim-safe.
///
/// A SOCK_STREAM unix socket, 0600 in a 0700 folder; the shim checks its peer
/// (same user, same user and pid namespaces as the server's).
/// Frames both ways: an 8-byte FrameHeader, then `length` bytes.
///
///     client                                   shim
///       | -- hello{version, nonce, role} ------->|  wrong version or nonce: closes
///       |<-- status{…} --------------------------|  at once, whatever the role
///       |            role `control` (the server):
///       |<-- started{…}  when the process runs --|  or failed{…}
///       | -- signal{number} -------------------->|
///       | -- stop{signal, timeout} ------------->|  signal, wait, kill the whole tree
///       | -- folder + a descriptor -------------->|  its folder was deleted: this one from now on
///       |<-- exited{…} --------------------------|  the tree is gone, output is written; then EOF
///       |            role `identify` (the server; nonce not asked for):
///       |<-- identity{text} ---------------------|  what instance.json says; then EOF
///       |            role `attach` (a terminal or pipes):
///       |<-- out / err{bytes} -------------------|  what the process writes from now on
///       | -- in{bytes} / in_end / resize{…} ---->|
///       | -- signal{number} -------------------->|
///       |<-- exited{…} --------------------------|
///
/// A reader that does not read is dropped when its buffer (1 MiB) is full, with
/// a `lost` frame if there is room: it never blocks the service. The one
/// exception is a process started with `hold` (container run, exec): its first
/// attached client *is* its output, so there back-pressure is the rule.
/// Numbers are in host byte order: both ends are on one machine, and the
/// version in `hello` guards the layout.
namespace locald {

inline constexpr std::uint32_t kAttachVersion = 1;
inline constexpr std::uint32_t kFrameMax = 256u
                                           << 10;  ///< bytes; a longer frame closes the connection

enum class Frame : std::uint8_t {
  hello = 1,  ///< FrameHello
  status,     ///< FrameStatus
  started,    ///< FrameStatus
  failed,     ///< FrameExit (code 125, 126 or 127) and then the message's text
  exited,     ///< FrameExit
  signal,     ///< int32 number
  stop,       ///< FrameStop
  in,         ///< bytes for stdin
  in_end,     ///< end of stdin
  out,        ///< bytes of stdout (or of the terminal)
  err,        ///< bytes of stderr
  resize,     ///< FrameResize
  lost,       ///< the client was too slow and is dropped after this
  folder,     ///< nothing; the descriptor of a folder comes with it. Older shims do not know it
  identity,   ///< the text of instance.json
};

struct FrameHeader {
  std::uint32_t length;  ///< bytes that follow
  std::uint8_t type;     ///< Frame
  std::uint8_t reserved[3];
};
static_assert(sizeof(FrameHeader) == 8);

enum class AttachRole : std::uint32_t { control = 1, attach = 2, identify = 3 };

struct FrameHello {
  std::uint32_t version;
  AttachRole role;
  char nonce[32];  ///< of the instance, NUL-padded: a socket path that was reused answers to nobody
                   ///< else
};

enum class ShimState : std::uint32_t { starting = 1, running = 2, ending = 3 };

struct FrameStatus {
  std::uint32_t version;
  ShimState state;
  std::int32_t pid;          ///< of the process, as the host sees it; 0 while starting
  std::int32_t shim_pid;     ///< as the host sees it
  std::uint64_t started_ns;  ///< CLOCK_REALTIME; 0 while starting
};

struct FrameExit {
  std::int32_t code;    ///< 0..255, or -1 where `signal` says how it ended, or both -1/0: unknown
  std::int32_t signal;  ///< 0 or the signal
  std::uint64_t ended_ns;
  std::uint64_t dropped_bytes;  ///< of output, see log_format.h
};

struct FrameStop {
  std::int32_t signal;       ///< 0: the process's own (an image's StopSignal), else SIGTERM
  std::uint32_t timeout_ms;  ///< 0: kill at once
};

struct FrameResize {
  std::uint16_t rows, columns;
};

}  // namespace locald
