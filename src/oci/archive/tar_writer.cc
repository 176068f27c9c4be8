#include "oci/archive/tar_writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace locald::oci {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kNameSize = 100;    // of the fields `name` and `linkname`
constexpr std::size_t kPrefixSize = 155;  // of ustar's `prefix`
constexpr std::size_t kMaxRecords = 1u << 20;

/// Where the fields lie. Spec: POSIX.1-2017, pax, "ustar Interchange Format".
struct HeaderField {
  std::size_t at, size;
};
constexpr HeaderField kName{0, kNameSize}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8},
    kSize{124, 12}, kTime{136, 12}, kSum{148, 8}, kType{156, 1}, kLink{157, kNameSize},
    kMagic{257, 8}, kMajor{329, 8}, kMinor{337, 8}, kPrefix{345, kPrefixSize};

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) > 0; });
}

std::string to_ascii(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out),
               [](char c) { return static_cast<signed char>(c) > 0; });
  return out;
}

bool fits_octal(HeaderField field, std::uint64_t value) {
  return value < std::uint64_t{1} << ((field.size - 1) * 3);
}

/// Base 256, as GNU tar writes what octal digits cannot hold.
bool fits_binary(HeaderField field, std::uint64_t value) {
  return field.size >= 9 || value < std::uint64_t{1} << ((field.size - 1) * 8);
}

struct Split {
  std::string_view prefix, name;
};

/// Where ustar may cut `name` so that both parts fit; none where it cannot or need not.
bool split_name(std::string_view name, Split& out) {
  if (name.size() <= kNameSize || !is_ascii(name)) return false;
  std::size_t end = name.size();
  if (end > kPrefixSize + 1)
    end = kPrefixSize + 1;
  else if (name[end - 1] == '/')
    --end;
  const std::size_t slash = name.substr(0, end).rfind('/');
  if (slash == std::string_view::npos || slash == 0 || slash > kPrefixSize) return false;
  const std::size_t rest = name.size() - slash - 1;
  if (rest == 0 || rest > kNameSize) return false;
  out = {name.substr(0, slash), name.substr(slash + 1)};
  return true;
}

/// One header block.
class Header {
 public:
  void text(HeaderField field, std::string_view value) {
    const std::size_t size = std::min(field.size, value.size());
    std::memcpy(bytes_.data() + field.at, value.data(), size);
    if (value.size() <= field.size || at(field, field.size - 1) != '/') return;
    // Cut behind a slash it would look like a folder to some readers.
    std::size_t end = field.size - 1;
    while (end > 0 && at(field, end - 1) == '/') --end;
    bytes_[field.at + end] = std::byte{0};
  }
  void octal(HeaderField field, std::uint64_t value) {
    if (!fits_octal(field, value)) value = 0;  // said elsewhere, in a pax record
    for (std::size_t i = field.size - 1; i-- > 0; value >>= 3)
      bytes_[field.at + i] = static_cast<std::byte>('0' + (value & 7));
  }
  void number(HeaderField field, std::uint64_t value) {
    if (fits_octal(field, value)) return octal(field, value);
    for (std::size_t i = field.size; i-- > 0; value >>= 8)
      bytes_[field.at + i] = static_cast<std::byte>(value & 0xff);
    bytes_[field.at] |= std::byte{0x80};
  }
  void type(char type) { bytes_[kType.at] = static_cast<std::byte>(type); }
  /// The last thing: the magic and the sum over all.
  const std::byte* seal(bool gnu) {
    text(kMagic, gnu ? std::string_view("ustar  \0", 8) : std::string_view("ustar\00000", 8));
    std::memset(bytes_.data() + kSum.at, ' ', kSum.size);
    std::uint64_t sum = 0;
    for (const std::byte b : bytes_) sum += std::to_integer<unsigned>(b);
    octal({kSum.at, kSum.size - 1}, sum);
    bytes_[kSum.at + kSum.size - 2] = std::byte{0};
    return bytes_.data();
  }

 private:
  char at(HeaderField field, std::size_t i) const {
    return static_cast<char>(bytes_[field.at + i]);
  }
  std::array<std::byte, kBlock> bytes_{};
};

/// "LENGTH KEY=VALUE\n", whose length counts itself.
std::string record(const std::string& key, const std::string& value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t size = rest + std::to_string(rest).size();
  size = rest + std::to_string(size).size();
  return std::to_string(size) + " " + key + "=" + value + "\n";
}

/// path.Join(folder, "PaxHeaders.0", file) of Go, for a clean or unclean `name`.
std::string records_name(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  std::string whole(name.substr(0, slash == std::string_view::npos ? 0 : slash + 1));
  whole += "/PaxHeaders.0/";
  whole += slash == std::string_view::npos ? name : name.substr(slash + 1);
  std::vector<std::string> parts;
  const bool rooted = name.starts_with('/');
  for (const std::string& part : split(whole, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == ".." && !parts.empty() && parts.back() != "..")
      parts.pop_back();
    else if (part != ".." || !rooted)
      parts.push_back(part);
  }
  return (rooted ? "/" : "") + join(parts, "/");
}

/// What all three formats have in common.
template <typename Text, typename Number>
Header common(const TarHeader& e, std::string_view name, Text text, Number number) {
  Header header;
  header.type(static_cast<char>(e.type));
  (header.*text)(kName, name);
  (header.*text)(kLink, e.link);
  (header.*number)(kMode, e.mode);
  (header.*number)(kUid, e.uid);
  (header.*number)(kGid, e.gid);
  (header.*number)(kSize, e.size);
  (header.*number)(kTime, static_cast<std::uint64_t>(e.mtime));
  (header.*number)(kMajor, e.major);
  (header.*number)(kMinor, e.minor);
  return header;
}

Error refused(const TarHeader& entry, const std::string& why) {
  return {Errc::invalid_input, "tar cannot hold " + entry.name + ": " + why};
}

}  // namespace

Result<void> TarWriter::zeros(std::uint64_t count) {
  static constexpr std::array<std::byte, kBlock> kZeros{};
  for (; count > 0; count -= std::min<std::uint64_t>(count, kBlock))
    TRY(sink_.write(std::span(kZeros).first(std::min<std::uint64_t>(count, kBlock))));
  return {};
}

Result<void> TarWriter::end_member() {
  if (left_ != 0)
    return Error(Errc::failed,
                 "a member of an archive ends " + std::to_string(left_) + " bytes before its size");
  return zeros(std::exchange(padding_, 0));
}

Result<void> TarWriter::raw_header(const std::byte* block, std::uint64_t size) {
  TRY(end_member());
  TRY(sink_.write({block, kBlock}));
  left_ = size;
  padding_ = (kBlock - size % kBlock) % kBlock;
  return {};
}

Result<void> TarWriter::special(const std::string& name, const std::string& content, char type,
                                bool gnu) {
  std::string shown = to_ascii(name).substr(0, kNameSize);
  shown.resize(shown.find_last_not_of('/') + 1);
  Header header;
  header.type(type);
  header.text(kName, shown);
  for (const HeaderField field : {kMode, kUid, kGid, kTime}) header.octal(field, 0);
  header.octal(kSize, content.size());
  TRY(raw_header(header.seal(gnu), content.size()));
  return write(std::as_bytes(std::span(content)));
}

Result<void> TarWriter::entry(const TarHeader& e) {
  using Type = TarHeader::Type;
  if (e.name.find('\0') != std::string::npos || e.link.find('\0') != std::string::npos)
    return refused(e, "a NUL byte in a name");
  if (e.type != Type::folder && e.type != Type::symlink && e.name.ends_with('/'))
    return refused(e, "a name with a slash at its end");
  if (e.mtime < 0 || !fits_octal(kTime, static_cast<std::uint64_t>(e.mtime)))
    return refused(e, "a time outside of 1970 to 2242");
  if (!fits_octal(kMode, e.mode)) return refused(e, "such a mode");

  std::map<std::string, std::string> records;
  bool ustar = true;
  Split cut;
  const bool can_split = split_name(e.name, cut);
  if (!is_ascii(e.name) || e.name.size() > kNameSize) {
    ustar = can_split;
    records["path"] = e.name;
  }
  if (!is_ascii(e.link) || e.link.size() > kNameSize) {
    ustar = false;
    records["linkpath"] = e.link;
  }
  const auto check = [&](HeaderField field, std::uint64_t value, const char* key) {
    if (fits_octal(field, value)) return;
    ustar = false;
    records[key] = std::to_string(value);
  };
  check(kUid, e.uid, "uid");
  check(kGid, e.gid, "gid");
  check(kSize, e.size, "size");
  const bool device_fits = fits_octal(kMajor, e.major) && fits_octal(kMinor, e.minor);
  const std::uint64_t size = e.type == Type::file ? e.size : 0;

  if (ustar && device_fits) {
    Header header = common(e, can_split ? cut.name : e.name, &Header::text, &Header::octal);
    if (can_split) header.text(kPrefix, cut.prefix);
    return raw_header(header.seal(/*gnu=*/false), size);
  }
  if (device_fits) {
    std::string text;
    for (const auto& [key, value] : records) text += record(key, value);
    if (text.size() > kMaxRecords) return refused(e, "names of over 1 MiB");
    TRY(special(records_name(e.name), text, 'x', /*gnu=*/false));
    TarHeader plain = e;
    plain.link = to_ascii(e.link);
    Header header = common(plain, to_ascii(e.name), &Header::text, &Header::octal);
    return raw_header(header.seal(/*gnu=*/false), size);
  }
  if (!fits_binary(kUid, e.uid) || !fits_binary(kGid, e.gid)) return refused(e, "such an owner");
  for (const auto& [text, type] : {std::pair(&e.name, 'L'), std::pair(&e.link, 'K')})
    if (text->size() > kNameSize)
      TRY(special("././@LongLink", *text + std::string(1, '\0'), type, /*gnu=*/true));
  Header header = common(e, e.name, &Header::text, &Header::number);
  return raw_header(header.seal(/*gnu=*/true), size);
}

Result<void> TarWriter::write(std::span<const std::byte> chunk) {
  if (chunk.size() > left_)
    return Error(Errc::failed, "a member of an archive is longer than its size");
  left_ -= chunk.size();
  return sink_.write(chunk);
}

Result<void> TarWriter::finish() {
  TRY(end_member());
  return zeros(2 * kBlock);
}

}  // namespace locald::oci
