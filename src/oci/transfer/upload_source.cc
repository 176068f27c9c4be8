#include "oci/transfer/upload_source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace locald::oci {
namespace {

constexpr std::size_t kUploadReadBytes = 256u << 10;

class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  Result<std::span<const std::byte>> read() override {
    return std::exchange(done_, true) ? std::span<const std::byte>()
                                      : std::as_bytes(std::span(text_));
  }

 private:
  std::string text_;
  bool done_ = false;
};

class WholeSource final : public ByteSource {
 public:
  WholeSource(std::unique_ptr<ByteSource> verified, std::uint64_t size, Told told)
      : verified_(std::move(verified)), size_(size), told_(std::move(told)) {}

  Result<std::span<const std::byte>> read() override {
    auto chunk = TRY(verified_->read());
    at_ += chunk.size();
    if (chunk.empty() || at_ < size_) {
      told_(at_);
      return chunk;
    }
    last_.assign(chunk.begin(), chunk.end());
    TRY(verified_->read());
    told_(at_);
    return std::span<const std::byte>(last_);
  }

 private:
  std::unique_ptr<ByteSource> verified_;
  std::uint64_t size_, at_ = 0;
  std::vector<std::byte> last_;
  Told told_;
};

class PartSource final : public ByteSource {
 public:
  PartSource(UniqueFd file, std::uint64_t from, std::uint64_t to, Told told)
      : file_(std::move(file)),
        at_(from),
        to_(to),
        told_(std::move(told)),
        buffer_(kUploadReadBytes) {}

  Result<std::span<const std::byte>> read() override {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(to_ - at_, kUploadReadBytes));
    ssize_t n = 0;
    do {
      n = ::pread(file_.get(), buffer_.data(), wanted, static_cast<off_t>(at_));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return Error::from_errno(errno, "read a blob");
    at_ += static_cast<std::uint64_t>(n);
    told_(at_);
    return std::span(buffer_).first(static_cast<std::size_t>(n));
  }

 private:
  UniqueFd file_;
  std::uint64_t at_, to_;
  Told told_;
  std::vector<std::byte> buffer_;
};

}  // namespace

std::unique_ptr<ByteSource> text_source(std::string text) {
  return std::make_unique<TextSource>(std::move(text));
}

std::unique_ptr<ByteSource> whole_source(std::unique_ptr<ByteSource> verified, std::uint64_t size,
                                         Told told) {
  return std::make_unique<WholeSource>(std::move(verified), size, std::move(told));
}

std::unique_ptr<ByteSource> part_source(UniqueFd file, std::uint64_t from, std::uint64_t to,
                                        Told told) {
  return std::make_unique<PartSource>(std::move(file), from, to, std::move(told));
}

}  // namespace locald::oci
