#pragma once
#include <cstddef>
#include <cstdint>

#include "base/log/log_format.h"
#include "shim/clients.h"
#include "shim/log_writer.h"
#include "shim/spec.h"
#include "shim/text.h"

namespace locald::shim {

/// Our ends of the process's stdio: a terminal, or pipes. For one thread; nothing here blocks.
///
/// There is one reading buffer for all objects, and one object.
class Stdio {
 public:
  /// Makes the terminal or pipes of `spec`. `child` gets the process's ends, the caller's; for a
  /// terminal that is to be `sent` (take_terminal()) they are /dev/null.
  /// False with a sentence in `why`.
  bool open(const Spec& spec, bool sent, int child[3], Text& why);
  /// Takes over the terminal's master, which was sent.
  void take_terminal(int master);
  /// The terminal's size; also of a terminal that is still to come.
  void resize(std::uint16_t rows, std::uint16_t columns);

  // Input.
  /// Writes as much as there is room for, and adds that to `done`, the bytes of `data` that are
  /// dealt with. False: the rest waits (blocked_input()). Where nobody reads, nothing waits.
  bool write(const char* data, std::uint32_t size, std::uint32_t& done);
  /// The terminal that was asked for has not been sent yet.
  bool awaits_terminal() const { return tty_ && master_ < 0; }
  /// Some input waits, until resume_input().
  void hold_input() { input_held_ = true; }
  void resume_input() { input_held_ = false; }
  /// While input waits: the descriptor that is writable when there is room; else -1.
  int blocked_input() const { return input_held_ ? in_ : -1; }
  /// Closes the pipe, or types the end of input (^D).
  void end_input();

  // Output.
  int out() const { return out_; }  ///< readable, or -1; with a terminal its master
  int err() const { return err_; }  ///< readable, or -1
  /// Reads once from out() or err(), if it is open, and hands it on. True while there may be more.
  bool read(LogStream stream, LogWriter& log, ClientSet& clients);
  /// Reads all that is there and forgets it.
  void drop_output();
  /// The start of the output (at most 399 bytes; of the pipes, of stderr alone), without the line
  /// ends that it ends with; until the next read. Reads it if nothing was read before.
  const char* first_words();

  /// When trim() is due, in ms of monotonic_ms(); 0: not.
  std::int64_t trim_at_ms() const { return trim_at_ms_; }
  /// Gives the buffer's pages back to the kernel, if it is time to: after much output it is quiet.
  void trim(std::int64_t now_ms);

 private:
  void set_window() const;

  bool tty_ = false;
  int master_ = -1;
  int out_ = -1, err_ = -1, in_ = -1;  ///< with a terminal out_ and in_ are master_
  bool input_held_ = false;
  std::uint16_t rows_ = 0, columns_ = 0;
  std::uint16_t made_rows_ = 0, made_columns_ = 0;  ///< the size of a terminal that is sent
  std::int64_t trim_at_ms_ = 0;
  char first_[400] = {};
  std::size_t first_used_ = 0;
};

}  // namespace locald::shim
