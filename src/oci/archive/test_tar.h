#pragma once
#include <cstdio>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oci/archive/byte_sink.h"
#include "oci/archive/byte_source.h"

namespace locald::oci::test {

/// Keeps what is written.
class StringSink final : public ByteSink {
 public:
  Result<void> write(std::span<const std::byte> chunk) override {
    bytes.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
    return {};
  }
  std::string bytes;
};

/// A string as a ByteSource, `step` bytes at a time.
class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string bytes, std::size_t step = 1u << 20)
      : bytes_(std::move(bytes)), step_(step) {}
  Result<std::span<const std::byte>> read() override {
    const std::size_t n = std::min(step_, bytes_.size() - at_);
    const auto piece = std::as_bytes(std::span(bytes_.data() + at_, n));
    at_ += n;
    return piece;
  }
  bool drained() const { return at_ == bytes_.size(); }

 private:
  std::string bytes_;
  std::size_t step_;
  std::size_t at_ = 0;
};

inline std::string read_to_end(ByteSource& source, std::string* error = nullptr) {
  std::string out;
  while (true) {
    auto piece = source.read();
    if (!piece) {
      if (error != nullptr) *error = piece.error().message();
      return out;
    }
    if (piece->empty()) return out;
    out.append(reinterpret_cast<const char*>(piece->data()), piece->size());
  }
}

struct TarFields {
  std::uint32_t mode = 0644;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::int64_t mtime = 1'000'000'000;
  std::uint32_t dev_major = 0;
  std::uint32_t dev_minor = 0;
};

/// Writes tar headers field by field, so that tests can say exactly what is in them.
class TarBuilder {
 public:
  using Fields = TarFields;

  TarBuilder& file(const std::string& path, std::string_view data = "", Fields fields = {}) {
    return header(path, '0', "", data.size(), fields).body(data);
  }
  TarBuilder& dir(const std::string& path) { return header(path, '5', "", 0, {.mode = 0755}); }
  TarBuilder& dir(const std::string& path, Fields fields) {
    return header(path, '5', "", 0, fields);
  }
  TarBuilder& symlink(const std::string& path, const std::string& target, Fields fields = {}) {
    return header(path, '2', target, 0, fields);
  }
  TarBuilder& hardlink(const std::string& path, const std::string& target, Fields fields = {}) {
    return header(path, '1', target, 0, fields);
  }
  TarBuilder& fifo(const std::string& path) { return header(path, '6', "", 0, {}); }
  TarBuilder& char_device(const std::string& path, std::uint32_t major, std::uint32_t minor) {
    return header(path, '3', "", 0, {.dev_major = major, .dev_minor = minor});
  }
  TarBuilder& whiteout(const std::string& folder, const std::string& name) {
    return file(folder + ".wh." + name);
  }
  TarBuilder& opaque(const std::string& folder) { return file(folder + ".wh..wh..opq"); }

  /// A PAX header for the next entry ('g': a global one).
  TarBuilder& pax(const std::vector<std::pair<std::string, std::string>>& records,
                  char type = 'x') {
    std::string text;
    for (const auto& [key, value] : records) {
      const std::string rest = " " + key + "=" + value + "\n";
      std::size_t size = rest.size() + 1;
      while (std::to_string(size).size() + rest.size() != size)
        size = std::to_string(size).size() + rest.size();
      text += std::to_string(size) + rest;
    }
    return header("PaxHeaders/x", type, "", text.size(), {}).body(text);
  }

  TarBuilder& header(const std::string& path, char type, const std::string& link,
                     std::uint64_t size, Fields fields) {
    char block[512] = {};
    // ustar: what does not fit into the name goes into the prefix, at a slash.
    std::string name = path;
    std::string prefix;
    if (name.size() > 100) {
      const std::size_t slash = path.find('/', path.size() - 101);
      prefix = path.substr(0, slash);
      name = path.substr(slash + 1);
    }
    std::memcpy(block, name.data(), std::min<std::size_t>(name.size(), 100));
    octal(block + 100, 8, fields.mode);
    octal(block + 108, 8, fields.uid);
    octal(block + 116, 8, fields.gid);
    octal(block + 124, 12, size);
    octal(block + 136, 12, static_cast<std::uint64_t>(fields.mtime));
    block[156] = type;
    std::memcpy(block + 157, link.data(), std::min<std::size_t>(link.size(), 100));
    std::memcpy(block + 257, "ustar\00000", 8);
    octal(block + 329, 8, fields.dev_major);
    octal(block + 337, 8, fields.dev_minor);
    std::memcpy(block + 345, prefix.data(), std::min<std::size_t>(prefix.size(), 155));
    std::memset(block + 148, ' ', 8);
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    std::snprintf(block + 148, 8, "%06o", sum);
    block[155] = ' ';
    bytes_.append(block, sizeof block);
    return *this;
  }
  TarBuilder& body(std::string_view data) {
    bytes_ += data;
    bytes_.append((512 - data.size() % 512) % 512, '\0');
    return *this;
  }
  TarBuilder& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }

  std::string bytes() const { return bytes_ + std::string(1024, '\0'); }
  std::string without_end() const { return bytes_; }

 private:
  static void octal(char* at, int width, std::uint64_t value) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", width - 1, static_cast<unsigned long long>(value));
    std::memcpy(at, text, static_cast<std::size_t>(width - 1));
  }

  std::string bytes_;
};

}  // namespace locald::oci::test
