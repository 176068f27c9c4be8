#include "shim/spec.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <initializer_list>

#include "shim/kernel.h"
#include "shim/protocol.h"

namespace locald::shim {
namespace {

const char* const kKeys[] = {
    kKeyKind,   kKeyId,        kKeyNonce, kKeyInstance, kKeyLog,    kKeyLogMax, kKeyTty,
    kKeyRows,   kKeyColumns,   kKeyStdin, kKeyHold,     kKeyArg,    kKeyEnv,    kKeyCwd,
    kKeyUmask,  kKeyRlimit,    kKeyRunc,  kKeyRuncRoot, kKeyRunDir, kKeyUserns, kKeyStopSignal,
    kKeyBundle, kKeyLowerBase, kKeyLower, kKeyUpper,    kKeyWork,   kKeyTarget, kKeyTimeout,
    kKeyReport, kKeyBind,      kKeyNetns, kKeyCwdOpen,  kKeyKept,
};

bool known(const char* key) {
  for (const char* k : kKeys)
    if (std::strcmp(k, key) == 0) return true;
  return false;
}

bool copy(char* to, std::size_t size, const char* from) {
  if (from == nullptr || std::strlen(from) >= size) return false;
  std::memcpy(to, from, std::strlen(from) + 1);
  return true;
}

}  // namespace

bool Spec::read(int fd, const char** why) {
  struct stat st {};
  if (::fstat(fd, &st) != 0 || st.st_size <= 0) return *why = "the spec is empty", false;
  mapped_ = static_cast<std::size_t>(st.st_size);
  void* memory = ::mmap(nullptr, mapped_, PROT_READ, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED) return *why = "the spec cannot be mapped", false;
  text_ = static_cast<const char*>(memory);
  size_ = mapped_;
  if (text_[size_ - 1] != '\0') return *why = "the spec has no end", false;
  std::size_t strings = 0;
  for (std::size_t at = 0; at < size_; at += std::strlen(text_ + at) + 1, ++strings)
    if (strings % 2 == 0 && !known(text_ + at)) return *why = "unknown key in the spec", false;
  if (strings % 2 != 0) return *why = "a key without a value in the spec", false;

  const char* name = first(kKeyKind);
  if (name == nullptr) return *why = "no kind in the spec", false;
  if (std::strcmp(name, "host") == 0) {
    kind = Kind::host;
    if (first(kKeyArg) == nullptr || first(kKeyCwd) == nullptr)
      return *why = "no command or folder in the spec", false;
  } else if (std::strcmp(name, "container") == 0 || std::strcmp(name, "exec") == 0) {
    kind = name[0] == 'c' ? Kind::container : Kind::exec;
    for (const char* key :
         {kKeyRunc, kKeyRuncRoot, kKeyRunDir, kind == Kind::exec ? kKeyTarget : kKeyBundle})
      if (first(key) == nullptr)
        return *why = "runc, its root, the folder, the bundle or the target is missing in the spec",
               false;
  } else {
    return *why = "unknown kind in the spec", false;
  }
  if (!copy(id, sizeof id, first(kKeyId)) || !copy(nonce, sizeof nonce, first(kKeyNonce)))
    return *why = "no id or nonce in the spec", false;
  tty = flag(kKeyTty);
  open_stdin = flag(kKeyStdin);
  hold = flag(kKeyHold);
  log = flag(kKeyLog);
  userns = flag(kKeyUserns);
  if (const char* v = first(kKeyStopSignal)) stop_signal = static_cast<int>(parse_number(v));
  if (const char* v = first(kKeyRows)) rows = static_cast<unsigned short>(parse_number(v));
  if (const char* v = first(kKeyColumns)) columns = static_cast<unsigned short>(parse_number(v));
  if (const char* v = first(kKeyLogMax)) log_max = parse_number(v);
  return true;
}

void Spec::release() {
  if (text_ != nullptr) ::munmap(const_cast<char*>(text_), mapped_);
  text_ = nullptr;
  size_ = 0;
}

const char* Spec::first(const char* key) const { return next(key, nullptr); }

const char* Spec::next(const char* key, const char* value) const {
  std::size_t at =
      value == nullptr ? 0 : static_cast<std::size_t>(value - text_) + std::strlen(value) + 1;
  while (at < size_) {
    const char* k = text_ + at;
    const char* v = k + std::strlen(k) + 1;
    if (std::strcmp(k, key) == 0) return v;
    at = static_cast<std::size_t>(v - text_) + std::strlen(v) + 1;
  }
  return nullptr;
}

std::size_t Spec::count(const char* key) const {
  std::size_t n = 0;
  for (const char* v = first(key); v != nullptr; v = next(key, v)) ++n;
  return n;
}

bool Spec::flag(const char* key) const {
  const char* v = first(key);
  return v != nullptr && std::strcmp(v, "1") == 0;
}

char** Spec::list(const char* key) const {
  char** all = reinterpret_cast<char**>(map_memory((count(key) + 1) * sizeof(char*)));
  if (all == nullptr) return nullptr;
  std::size_t n = 0;
  for (const char* v = first(key); v != nullptr; v = next(key, v)) all[n++] = const_cast<char*>(v);
  all[n] = nullptr;
  return all;
}

}  // namespace locald::shim
