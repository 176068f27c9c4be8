#include "oci/registry/registry_client.h"

#include <algorithm>

#include "base/strings.h"
#include "oci/spec/manifest.h"
#include "oci/spec/media_type.h"

namespace locald::oci {
namespace {

constexpr int kMaxResumes = 20;

std::string reference_of(const ImageReference& reference, const std::string& tag_or_digest) {
  const bool digest = tag_or_digest.find(':') != std::string::npos;
  ImageReference bare = reference;
  bare.tag = digest ? "" : tag_or_digest;
  bare.digest.reset();
  return bare.familiar() + (digest ? "@" + tag_or_digest : "");
}

}  // namespace

/// A blob under way: opens the rest again where a connection broke.
class BlobDownload final : public ByteSource {
 public:
  BlobDownload(RegistrySession& session, Descriptor blob, std::uint64_t offset)
      : session_(session), blob_(std::move(blob)), offset_(offset) {}

  Result<void> open() {
    const std::uint64_t position = offset_;
    const std::string& repository = session_.reference().repository;
    RegistrySession::Wanted wanted{.target = "/v2/" + repository + "/blobs/" + blob_.digest.str(),
                                   .what = "the blob " + blob_.digest.str() + " of " + repository};
    if (position != 0) wanted.headers.push_back("Range: bytes=" + std::to_string(position) + "-");
    stream_ = TRY(session_.open(wanted));
    skip_ = 0;
    std::uint64_t announced = blob_.size_bytes - position;
    if (stream_->status() == 206) {
      // "bytes 5-9/10": what comes must be what was asked for.
      const std::string range = stream_->header("content-range");
      const auto first =
          parse_u64(range.substr(std::min<std::size_t>(range.size(), 6),
                                 range.find('-') - std::min<std::size_t>(range.size(), 6)));
      if (range.substr(0, 6) != "bytes " || first != position)
        return Error(Errc::corrupt,
                     "the registry sent another part of the blob than asked for (\"" +
                         printable(range, 60) + "\")");
    } else {
      skip_ = position;  // no ranges here: what we have comes once more
      announced = blob_.size_bytes;
    }
    const auto length = parse_u64(stream_->header("content-length"));
    if (length && *length != announced)
      return Error(Errc::corrupt, "the registry sends " + std::to_string(*length) +
                                      " bytes for a blob that the manifest gives " +
                                      std::to_string(blob_.size_bytes));
    return {};
  }

  Result<std::span<const std::byte>> read() override {
    while (true) {
      auto chunk = stream_->read();
      if (chunk && !chunk->empty()) {
        const auto dropped =
            static_cast<std::size_t>(std::min<std::uint64_t>(skip_, chunk->size()));
        skip_ -= dropped;
        if (chunk->size() == dropped) continue;
        offset_ += chunk->size() - dropped;
        return chunk->subspan(dropped);
      }
      if (chunk && offset_ >= blob_.size_bytes) return chunk;
      const bool broken = !chunk && stream_->transient();
      if (!chunk && !broken) return chunk;
      // The connection broke, or the body ended too early.
      const std::uint64_t got = offset_;
      if (++resumes_ > kMaxResumes || got == last_break_) {
        if (++fruitless_ > 3 || resumes_ > kMaxResumes) {
          const std::string why = chunk ? "the registry ended the body" : chunk.error().message();
          return Error(chunk ? Errc::failed : chunk.error().code(),
                       "got " + std::to_string(got) + " of " + std::to_string(blob_.size_bytes) +
                           " bytes of " + blob_.digest.str() + ": " + why)
              .with_hint("try again: the download resumes where it stopped");
        }
      } else {
        fruitless_ = 0;
      }
      last_break_ = got;
      TRY(session_.wait(session_.options().first_pause * (1 << std::min(fruitless_, 4)),
                        "the download was interrupted at " + human_bytes(got)));
      stream_.reset();
      TRY(open());
    }
  }

 private:
  RegistrySession& session_;
  Descriptor blob_;
  std::uint64_t offset_;
  std::unique_ptr<HttpStream> stream_;
  std::uint64_t skip_ = 0;
  std::uint64_t last_break_ = UINT64_MAX;
  int resumes_ = 0;
  int fruitless_ = 0;
};

RegistryClient::RegistryClient(const ImageReference& reference, Options options)
    : session_(reference, std::move(options), {"repository:" + reference.repository + ":pull"}) {}

Result<FetchedDocument> RegistryClient::manifest(const std::string& tag_or_digest) {
  static const std::string accept = std::string(kOciIndex) + ", " + std::string(kOciManifest) +
                                    ", " + std::string(kDockerManifestList) + ", " +
                                    std::string(kDockerManifest);
  const std::string what = reference_of(session_.reference(), tag_or_digest);
  auto answer = TRY(session_.open(
      {.target = "/v2/" + session_.reference().repository + "/manifests/" + tag_or_digest,
       .what = what,
       .headers = {"Accept: " + accept}}));
  std::string bytes = TRY(answer->body(kMaxManifestBytes).context("manifest of " + what));
  if (!looks_like_json(bytes))
    return not_json(host(), "the manifest of " + what, answer->header("content-type"), bytes);
  Digest digest = Digest::of(bytes);
  // The digest that was asked for decides; without one, the registry's own word must hold.
  const bool by_digest = tag_or_digest.find(':') != std::string::npos;
  const std::string promised = by_digest ? tag_or_digest : answer->header("docker-content-digest");
  if (!promised.empty() && promised.substr(0, 7) == "sha256:" && promised != digest.str())
    return Error(Errc::corrupt, host() + " sent another manifest than it promised: want " +
                                    printable(promised, 80) + ", got " + digest.str())
        .with_hint("nothing was stored; try again, and tell the registry's owner if it stays so");
  return FetchedDocument{std::move(bytes), answer->header("content-type"), std::move(digest)};
}

Result<std::unique_ptr<ByteSource>> RegistryClient::blob(const Descriptor& blob,
                                                         std::uint64_t offset) {
  auto download = std::make_unique<BlobDownload>(session_, blob, offset);
  TRY(download->open());
  return std::unique_ptr<ByteSource>(std::move(download));
}

}  // namespace locald::oci
