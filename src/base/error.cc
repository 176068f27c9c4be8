#include "base/error.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/transient.h"

namespace locald {
namespace {

Errc code_of(int err) noexcept {
  switch (err) {
    case ENOENT:
    case ENOTDIR:
      return Errc::not_found;
    case EEXIST:
      return Errc::already_exists;
    case EACCES:
    case EPERM:
      return Errc::denied;
    case ENOSYS:
    case EOPNOTSUPP:
      return Errc::unsupported;
    case ETIMEDOUT:
      return Errc::timed_out;
    case ECANCELED:
      return Errc::cancelled;
    case ENOSPC:
    case EDQUOT:
      return Errc::no_space;
    case EADDRINUSE:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
    case ENOMEM:
    case ENOBUFS:
    case ETXTBSY:
    case ECONNREFUSED:
    case ECONNRESET:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTUNREACH:
      return Errc::unavailable;
    default:
      return Errc::failed;
  }
}

struct Name {
  Errc code;
  std::string_view name;
};

constexpr Name kNames[] = {
    {Errc::failed, "failed"},
    {Errc::not_found, "not_found"},
    {Errc::already_exists, "already_exists"},
    {Errc::invalid_input, "invalid_input"},
    {Errc::corrupt, "corrupt"},
    {Errc::denied, "denied"},
    {Errc::unsupported, "unsupported"},
    {Errc::timed_out, "timed_out"},
    {Errc::cancelled, "cancelled"},
    {Errc::no_space, "no_space"},
    {Errc::unavailable, "unavailable"},
};

/// What helps where the machine or the user's limits are the cause, whatever was tried: no hint
/// about what was tried may take its place.
std::string_view hint_of(int err) noexcept {
  switch (err) {
    case EMFILE:
      return "too many files are open at once: raise the limit where locald is started (ulimit -n "
             "65536; the hard limit counts), then: locald server restart";
    case ENFILE:
      return "the whole machine has too many files open: sysctl fs.file-max says how many there "
             "may be";
    case ENOMEM:
      return "the machine, or the cgroup that locald runs in, is short of memory: free -h";
    default:
      return {};
  }
}

}  // namespace

std::string_view to_string(Errc code) noexcept {
  for (const auto& [value, name] : kNames)
    if (value == code) return name;
  return "failed";
}

Errc errc_from_string(std::string_view name) noexcept {
  for (const auto& [value, text] : kNames)
    if (text == name) return value;
  return Errc::failed;
}

Error Error::from_errno(int err, std::string_view what) {
  Error e(code_of(err), std::string(what) + ": " + std::strerror(err));
  e.errno_ = err;
  e.hint_ = hint_of(err);
  return e;
}

Error Error::with_context(std::string_view where) && {
  message_.insert(0, std::string(where) + ": ");
  return std::move(*this);
}

Error Error::with_hint(std::string hint) && {
  if (hint_.empty()) hint_ = std::move(hint);
  return std::move(*this);
}

std::string Error::text() const {
  return hint_.empty() ? message_ : message_ + "\n  hint: " + hint_;
}

bool may_pass(const Error& error) noexcept {
  return error.code() == Errc::unavailable || error.code() == Errc::no_space ||
         error.code() == Errc::timed_out;
}

bool may_pass(std::string_view sentence) noexcept {
  // As libc, Go and our shim write them, without the first letter.
  for (const std::string_view words :
       {"o space left on device", "isk quota exceeded", "esource temporarily unavailable",
        "annot allocate memory", "oo many open files", "ext file busy", "ddress already in use",
        "was exchanged for something else while"})
    if (sentence.find(words) != std::string_view::npos) return true;
  return false;
}

}  // namespace locald
