#include "oci/transfer/image_origin.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "oci/spec/manifest.h"
#include "oci/spec/media_type.h"
#include "oci/store/blob_source.h"
#include "oci/store/image_layout.h"
#include "oci/transfer/archive_origin.h"

namespace locald::oci {
namespace {

class RegistryOrigin final : public ImageOrigin {
 public:
  RegistryOrigin(const ImageReference& reference, RegistryClient::Options options)
      : reference_(reference), client_(reference, std::move(options)) {}

  Result<FetchedDocument> root() override {
    return client_.manifest(reference_.digest ? reference_.digest->str() : reference_.tag);
  }
  Result<FetchedDocument> manifest(const Descriptor& descriptor) override {
    return client_.manifest(descriptor.digest.str());
  }
  Result<std::unique_ptr<ByteSource>> blob(const Descriptor& descriptor,
                                           std::uint64_t offset) override {
    return client_.blob(descriptor, offset);
  }
  std::string where() const override { return reference_.registry; }

 private:
  ImageReference reference_;
  RegistryClient client_;
};

/// Leaves out the first `skip` bytes.
class SkippingSource final : public ByteSource {
 public:
  SkippingSource(std::unique_ptr<ByteSource> inner, std::uint64_t skip)
      : inner_(std::move(inner)), skip_(skip) {}
  Result<std::span<const std::byte>> read() override {
    while (true) {
      const auto chunk = TRY(inner_->read());
      const auto dropped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, chunk.size()));
      skip_ -= dropped;
      if (chunk.empty() || dropped < chunk.size()) return chunk.subspan(dropped);
    }
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  std::uint64_t skip_;
};

class LayoutOrigin final : public ImageOrigin {
 public:
  LayoutOrigin(ImageLayout layout, std::string name)
      : layout_(std::move(layout)), name_(std::move(name)) {}

  Result<FetchedDocument> root() override {
    const auto entries = TRY(layout_.index());
    return manifest(TRY(choose_by_name(*entries, name_).context(layout_.dir())));
  }
  Result<FetchedDocument> manifest(const Descriptor& descriptor) override {
    std::string bytes =
        TRY(layout_.read_document(descriptor.digest, kMaxManifestBytes).context(layout_.dir()));
    return FetchedDocument{std::move(bytes), descriptor.media_type, descriptor.digest};
  }
  Result<std::unique_ptr<ByteSource>> blob(const Descriptor& descriptor,
                                           std::uint64_t offset) override {
    auto source = file_source(TRY(layout_.open_blob(descriptor.digest).context(layout_.dir())));
    if (offset != 0) source = std::make_unique<SkippingSource>(std::move(source), offset);
    return source;
  }
  std::string where() const override { return layout_.dir(); }

 private:
  ImageLayout layout_;
  std::string name_;
};

}  // namespace

Result<Descriptor> choose_by_name(const std::vector<Descriptor>& entries, const std::string& name) {
  if (name.empty()) {
    if (entries.size() == 1) return entries[0];
    if (entries.empty()) return Error(Errc::not_found, "there is no image in it");
  } else {
    for (const Descriptor& entry : entries)
      if (entry.annotation(kRefName) == name) return entry;
    // containerd and BuildKit put the complete name elsewhere.
    for (const Descriptor& entry : entries)
      if (entry.annotation("io.containerd.image.name") == name) return entry;
  }
  std::vector<std::string> names;
  for (const Descriptor& entry : entries)
    if (const std::string known = entry.annotation(kRefName); !known.empty())
      names.push_back(known);
  const std::string there =
      names.empty() ? "no image there has a name" : "there is " + join(names, ", ");
  if (name.empty())
    return Error(Errc::invalid_input,
                 "there are " + std::to_string(entries.size()) + " images in it")
        .with_hint("say which, after a colon: " + there);
  return Error(Errc::not_found, "no image \"" + name + "\" in it").with_hint(there);
}

Result<std::unique_ptr<ImageOrigin>> open_origin(const ImageReference& reference,
                                                 RegistryClient::Options options) {
  struct stat st {};
  if (!reference.is_registry() && ::stat(reference.path.c_str(), &st) != 0)
    return Error::from_errno(errno, "open " + reference.path)
        .with_hint(
            "name an image that is there: oci:DIR[:NAME], oci-archive:FILE[:NAME] or "
            "docker-archive:FILE[:NAME]");
  switch (reference.transport) {
    case Transport::docker:
      return std::unique_ptr<ImageOrigin>(
          std::make_unique<RegistryOrigin>(reference, std::move(options)));
    case Transport::oci:
      return std::unique_ptr<ImageOrigin>(
          std::make_unique<LayoutOrigin>(TRY(ImageLayout::open(reference.path)), reference.tag));
    case Transport::oci_archive:
      return open_oci_archive(reference.path, reference.tag);
    case Transport::docker_archive:
      return open_docker_archive(reference.path, reference.tag);
  }
  return Error(Errc::unsupported, "unknown transport");
}

Result<ImageOrigin*> LazyOrigin::get() {
  const std::lock_guard guard(mutex_);
  if (!allowed_)
    return Error(Errc::not_found, "the image " + reference_.familiar() +
                                      " is not (completely) in the store, and pulling is switched "
                                      "off (pull = \"never\")")
        .with_hint("locald image pull " + shell_quote(reference_.familiar()));
  if (!origin_) origin_ = TRY(open_origin(reference_, options_));
  return origin_.get();
}

bool LazyOrigin::used() const {
  const std::lock_guard guard(mutex_);
  return origin_ != nullptr;
}

std::string source_stamp(const ImageReference& reference) {
  if (reference.is_registry()) return {};
  struct stat st {};
  const std::string file =
      reference.transport == Transport::oci ? reference.path + "/index.json" : reference.path;
  if (::stat(file.c_str(), &st) != 0) return {};
  return std::to_string(st.st_ino) + "-" + std::to_string(st.st_size) + "-" +
         std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec);
}

}  // namespace locald::oci
