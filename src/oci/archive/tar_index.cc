#include "oci/archive/tar_index.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "base/strings.h"

namespace locald::oci {
namespace {

constexpr std::size_t kHeaderBytes = 512;
constexpr std::size_t kMaxMembers = 100'000;
constexpr std::size_t kMaxExtended = 1u << 20;
constexpr int kMaxHardLinks = 8;

using Block = std::array<unsigned char, kHeaderBytes>;

Result<void> read_at(int fd, std::uint64_t offset, void* into, std::size_t size) {
  auto* out = static_cast<char*>(into);
  while (size > 0) {
    const ssize_t n = ::pread(fd, out, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read the archive");
    if (n == 0) return Error(Errc::corrupt, "the archive ends in the middle of a member");
    out += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

std::string text(const unsigned char* field, std::size_t size) {
  const auto* chars = reinterpret_cast<const char*>(field);
  return {chars, ::strnlen(chars, size)};
}

/// Octal digits, or GNU's base 256.
std::optional<std::uint64_t> number(const unsigned char* field, std::size_t size) {
  std::uint64_t value = 0;
  if ((field[0] & 0x80) != 0) {
    if (field[0] != 0x80) return std::nullopt;  // negative, or absurdly big
    for (std::size_t i = 1; i < size; ++i) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | field[i];
    }
    return value;
  }
  for (std::size_t i = 0; i < size && field[i] != 0; ++i) {
    if (field[i] == ' ') continue;
    if (field[i] < '0' || field[i] > '7' || value >> 60 != 0) return std::nullopt;
    value = value * 8 + (field[i] - '0');
  }
  return value;
}

bool checksum_right(const Block& block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kHeaderBytes; ++i) sum += i >= 148 && i < 156 ? ' ' : block[i];
  return number(&block[148], 8) == sum;
}

/// pack writes the members of its packages with absolute names.
std::string plain(std::string name) {
  while (name.substr(0, 2) == "./" || name.substr(0, 1) == "/")
    name.erase(0, name[0] == '/' ? 1 : 2);
  while (!name.empty() && name.back() == '/') name.pop_back();
  return name;
}

/// "17 path=a/b\n" records.
Result<std::map<std::string, std::string>> pax_records(std::string_view body) {
  std::map<std::string, std::string> out;
  while (!body.empty()) {
    const auto blank = body.find(' ');
    const auto length =
        blank == std::string_view::npos ? std::nullopt : parse_u64(body.substr(0, blank));
    if (!length || *length <= blank + 1 || *length > body.size() || body[*length - 1] != '\n')
      return Error(Errc::corrupt, "a damaged extended header in the archive");
    const std::string_view record = body.substr(blank + 1, *length - blank - 2);
    const auto equals = record.find('=');
    if (equals == std::string_view::npos)
      return Error(Errc::corrupt, "a damaged extended header in the archive");
    out[std::string(record.substr(0, equals))] = record.substr(equals + 1);
    body.remove_prefix(*length);
  }
  return out;
}

Result<void> refuse_compressed(int fd) {
  std::array<unsigned char, 6> magic{};
  const ssize_t n = ::pread(fd, magic.data(), magic.size(), 0);
  struct Kind {
    const char* name;
    const char* tool;
    std::string_view magic;
  };
  const std::string_view head(reinterpret_cast<const char*>(magic.data()),
                              n > 0 ? static_cast<std::size_t>(n) : 0);
  for (const Kind& kind :
       {Kind{"gzip", "gunzip", "\x1f\x8b"}, Kind{"zstd", "unzstd", "\x28\xb5\x2f\xfd"},
        Kind{"xz", "unxz",
             "\xfd"
             "7zXZ"},
        Kind{"bzip2", "bunzip2", "BZh"}})
    if (head.substr(0, kind.magic.size()) == kind.magic)
      return Error(Errc::unsupported, std::string("the archive is compressed with ") + kind.name)
          .with_hint(std::string("unpack it first: ") + kind.tool + " FILE");
  return {};
}

}  // namespace

Result<TarIndex> TarIndex::scan(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return Error::from_errno(errno, "stat the archive");
  if (!S_ISREG(st.st_mode)) return Error(Errc::invalid_input, "the archive is not a regular file");
  TRY(refuse_compressed(fd));
  const auto end = static_cast<std::uint64_t>(st.st_size);
  TarIndex out;
  std::string long_name;
  std::string long_link;
  std::optional<std::uint64_t> long_size;
  for (std::uint64_t at = 0; at + kHeaderBytes <= end;) {
    Block block{};
    TRY(read_at(fd, at, block.data(), kHeaderBytes));
    at += kHeaderBytes;
    if (block == Block{}) break;
    if (!checksum_right(block))
      return Error(Errc::corrupt, "no tar archive, or a damaged one (checksum at byte " +
                                      std::to_string(at - kHeaderBytes) + ")");
    const char type = static_cast<char>(block[156]);
    auto size = number(&block[124], 12);
    if (long_size && type != 'x' && type != 'g' && type != 'L' && type != 'K')
      size = std::exchange(long_size, std::nullopt);
    // Links and folders have no content, whatever their size field says.
    if (type == '1' || type == '2' || type == '5') size = 0;
    if (!size || *size > end - at)
      return Error(Errc::corrupt, "the archive is cut, or a size in it is wrong (at byte " +
                                      std::to_string(at - kHeaderBytes) + ")");
    if (type == 'x' || type == 'L' || type == 'K') {
      if (*size > kMaxExtended)
        return Error(Errc::corrupt, "an extended header of over 1 MiB in the archive");
      std::string body(static_cast<std::size_t>(*size), '\0');
      TRY(read_at(fd, at, body.data(), body.size()));
      if (type == 'L') long_name = body.c_str();
      if (type == 'K') long_link = body.c_str();
      if (type == 'x') {
        auto records = TRY(pax_records(body));
        if (records.contains("path")) long_name = records["path"];
        if (records.contains("linkpath")) long_link = records["linkpath"];
        if (records.contains("size")) {
          long_size = parse_u64(records["size"]);
          if (!long_size) return Error(Errc::corrupt, "a damaged extended header in the archive");
        }
      }
    } else if (type != 'g') {
      std::string name = std::exchange(long_name, {});
      if (name.empty()) {
        name = text(&block[0], 100);
        const bool ustar =
            std::memcmp(&block[257], "ustar", 6) == 0;  // with NUL: POSIX; GNU's own has blanks
        if (const std::string prefix = text(&block[345], 155); ustar && !prefix.empty())
          name = prefix + "/" + name;
      }
      std::string link = std::exchange(long_link, {});
      if (link.empty()) link = text(&block[157], 100);
      if (type == '1' || type == '2') {
        // A symlink starts at its own folder, a hard link at the top.
        if (const auto slash = plain(name).rfind('/'); type == '2' && slash != std::string::npos)
          link = plain(name).substr(0, slash + 1) + link;
        out.members_[plain(name)] = {0, 0, link};
      } else if (type == '0' || type == '\0' || type == '7') {
        out.members_[plain(name)] = {at, *size, {}};
      }
      if (out.members_.size() > kMaxMembers)
        return Error(Errc::corrupt, "over 100,000 members in the archive");
    }
    at += (*size + kHeaderBytes - 1) / kHeaderBytes * kHeaderBytes;
  }
  return out;
}

const TarIndex::Member* TarIndex::find(const std::string& name) const {
  std::string key = plain(name);
  for (int i = 0; i < kMaxHardLinks; ++i) {
    std::vector<std::string> parts;
    for (const std::string& part : split(key, '/')) {
      if (part == ".." && !parts.empty())
        parts.pop_back();
      else if (!part.empty() && part != "." && part != "..")
        parts.push_back(part);
    }
    const auto found = members_.find(join(parts, "/"));
    if (found == members_.end()) return nullptr;
    if (found->second.link.empty()) return &found->second;
    key = found->second.link;
  }
  return nullptr;
}

}  // namespace locald::oci
