#pragma once
#include <cstddef>

namespace locald::shim {

/// What the server wants started: the pairs of protocol.h, read in place from the memory file.
///
/// Everything points into the mapping; release() gives its pages back once the
/// process runs, after that only the numbers and the copied names are good.
class Spec {
 public:
  /// Maps and checks `fd`. False, with a sentence in `why`, where it is not what protocol.h says.
  bool read(int fd, const char** why);
  void release();

  const char* first(const char* key) const;  ///< the first value of `key`, or null
  const char* next(const char* key, const char* value) const;  ///< the one after `value`
  std::size_t count(const char* key) const;
  bool flag(const char* key) const;  ///< present and "1"
  /// The values of `key` and a null at the end, in fresh memory that is never given back: for exec.
  char** list(const char* key) const;

  enum class Kind { host, container, exec } kind = Kind::host;
  bool tty = false, open_stdin = false, hold = false, log = false, userns = false;
  int stop_signal = 15;  ///< for a stop that names none; SIGTERM
  unsigned short rows = 24, columns = 80;
  unsigned long long log_max = 0;
  char id[64] = {}, nonce[33] = {};

 private:
  const char* text_ = nullptr;
  std::size_t size_ = 0, mapped_ = 0;
};

}  // namespace locald::shim
