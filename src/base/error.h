#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace locald {

/// What a *caller* may want to branch on. Add a value only when code tests for
/// it; everything else is `failed`, and the message carries the detail.
enum class Errc : std::uint8_t {
  failed,
  not_found,
  already_exists,
  invalid_input,
  corrupt,
  denied,
  unsupported,
  timed_out,
  cancelled,
  no_space,
  /// May be well a moment later though nothing is changed: a port in use, a network or registry
  /// that does not answer, no more descriptors, memory or processes.
  unavailable,
};

/// The name used for `code` in the API ("not_found"); never empty.
std::string_view to_string(Errc code) noexcept;

/// The inverse of to_string; an unknown name is Errc::failed.
Errc errc_from_string(std::string_view name) noexcept;

/// One failure: a code for programs, a sentence for people.
///
/// The sentence grows outwards by with_context(), so that the user reads what
/// was tried first and what the kernel said last, and may end in a hint: the
/// next step to take.
class [[nodiscard]] Error {
 public:
  Error(Errc code, std::string message) : message_(std::move(message)), code_(code) {}

  /// From a failed system call. `what` names the call and its object
  /// ("open /run/x"); the errno's text is appended. Take `errno` at once:
  /// anything in between may change it.
  static Error from_errno(int err, std::string_view what);

  Errc code() const noexcept { return code_; }
  int sys_errno() const noexcept { return errno_; }  ///< 0 when no system call failed
  const std::string& message() const noexcept { return message_; }
  const std::string& hint() const noexcept { return hint_; }  ///< what to do next; may be empty

  /// The same error, one level up: "pull alpine:3.20: layer 2/5: open …".
  Error with_context(std::string_view where) &&;

  /// The same error with the next step for the user. An existing hint stays:
  /// the code nearest to the failure knows best.
  Error with_hint(std::string hint) &&;

  /// Message and hint as a person reads them: "MESSAGE\n  hint: HINT".
  std::string text() const;

 private:
  std::string message_;
  std::string hint_;
  int errno_ = 0;
  Errc code_;
};

}  // namespace locald
