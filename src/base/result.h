#pragma once
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/error.h"

namespace locald {

namespace detail {
/// Reading the wrong side of a Result is a bug, not an input: say
/// which and stop, so that the supervisor's state on disk stays the truth.
[[noreturn]] inline void bad_result_access(const char* what) {
  std::fputs(what, stderr);
  std::fputc('\n', stderr);
  std::abort();
}
}  // namespace detail

/// A value or an Error; spelled like std::expected (C++23), so that it can
/// become an alias one day. Checked: value() on an error and error() on a value
/// end the process. See docs/decisions/0001-errors-are-values.md.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  template <typename U>
  requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
           !std::is_same_v<std::remove_cvref_t<U>, Error> &&
           !std::is_same_v<std::remove_cvref_t<U>, Result<T>>) Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}  // NOLINT

  explicit operator bool() const noexcept { return state_.index() == 0; }
  bool has_value() const noexcept { return state_.index() == 0; }

  T& value() & { return checked(), *std::get_if<0>(&state_); }
  const T& value() const& { return checked(), *std::get_if<0>(&state_); }
  T&& value() && { return checked(), std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  template <typename U>
  T value_or(U&& fallback) && {
    return has_value() ? std::move(*this).value() : static_cast<T>(std::forward<U>(fallback));
  }

  Error& error() & { return checked_error(), *std::get_if<1>(&state_); }
  const Error& error() const& { return checked_error(), *std::get_if<1>(&state_); }
  Error&& error() && { return checked_error(), std::move(*std::get_if<1>(&state_)); }

  /// The same result; an error gets `where` in front of its message.
  Result context(std::string_view where) && {
    if (!has_value()) return std::move(*this).error().with_context(where);
    return std::move(*this);
  }
  /// The same result; an error gets the next step for the user.
  Result hint(std::string text) && {
    if (!has_value()) return std::move(*this).error().with_hint(std::move(text));
    return std::move(*this);
  }

 private:
  void checked() const {
    if (!has_value())
      detail::bad_result_access(
          ("value() of an error: " + std::get_if<1>(&state_)->message()).c_str());
  }
  void checked_error() const {
    if (has_value()) detail::bad_result_access("error() of a value");
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose

  explicit operator bool() const noexcept { return !error_.has_value(); }
  bool has_value() const noexcept { return !error_.has_value(); }
  void value() const {
    if (error_) detail::bad_result_access(("value() of an error: " + error_->message()).c_str());
  }

  Error& error() & { return checked_error(), *error_; }
  const Error& error() const& { return checked_error(), *error_; }
  Error&& error() && { return checked_error(), std::move(*error_); }

  Result context(std::string_view where) && {
    if (error_) return std::move(*error_).with_context(where);
    return {};
  }
  Result hint(std::string text) && {
    if (error_) return std::move(*error_).with_hint(std::move(text));
    return {};
  }

 private:
  void checked_error() const {
    if (!error_) detail::bad_result_access("error() of a value");
  }

  std::optional<Error> error_;
};

}  // namespace locald

#define LOCALD_CAT2(a, b) a##b
#define LOCALD_CAT(a, b) LOCALD_CAT2(a, b)
#define LOCALD_TRY(result, expr)                   \
  __extension__({                                  \
    auto result = (expr);                          \
    if (!result) return std::move(result).error(); \
    std::move(result).value();                     \
  })

/// Evaluates to the value, or returns the error from the enclosing function.
/// GCC and Clang only (statement expression). May be nested. Temporaries made
/// by `expr` are gone afterwards: do not keep views into them.
#define TRY(expr) LOCALD_TRY(LOCALD_CAT(try_, __COUNTER__), expr)
