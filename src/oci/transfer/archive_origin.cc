#include "oci/transfer/archive_origin.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "base/strings.h"
#include "base/sys/sys.h"
#include "oci/archive/tar_index.h"
#include "oci/spec/image_config.h"
#include "oci/spec/manifest.h"
#include "oci/spec/media_type.h"

namespace locald::oci {
namespace {

constexpr std::size_t kBlobReadBytes = 256u << 10;

/// A piece of a file; the descriptor is the archive's.
class PieceSource final : public ByteSource {
 public:
  PieceSource(std::shared_ptr<UniqueFd> file, std::uint64_t offset, std::uint64_t size)
      : file_(std::move(file)), offset_(offset), left_(size), buffer_(kBlobReadBytes) {}

  Result<std::span<const std::byte>> read() override {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, buffer_.size()));
    ssize_t n = 0;
    do {
      n = ::pread(file_->get(), buffer_.data(), wanted, static_cast<off_t>(offset_));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return Error::from_errno(errno, "read the archive");
    offset_ += static_cast<std::uint64_t>(n);
    left_ -= static_cast<std::uint64_t>(n);
    return std::span<const std::byte>(buffer_.data(), static_cast<std::size_t>(n));
  }

 private:
  std::shared_ptr<UniqueFd> file_;
  std::uint64_t offset_;
  std::uint64_t left_;
  std::vector<std::byte> buffer_;
};

class Archive {
 public:
  static Result<Archive> open(const std::string& path) {
    UniqueFd fd = TRY(sys::open(path, O_RDONLY | O_NONBLOCK));
    Archive out;
    out.path_ = path;
    out.index_ = TRY(TarIndex::scan(fd.get()).context(path));
    out.file_ = std::make_shared<UniqueFd>(std::move(fd));
    return out;
  }
  Result<TarIndex::Member> member(const std::string& name) const {
    const TarIndex::Member* found = index_.find(name);
    if (found == nullptr) return Error(Errc::not_found, path_ + " has no " + name);
    return *found;
  }
  std::unique_ptr<ByteSource> source(const TarIndex::Member& member,
                                     std::uint64_t offset = 0) const {
    offset = std::min(offset, member.size);
    return std::make_unique<PieceSource>(file_, member.offset + offset, member.size - offset);
  }
  Result<std::string> document(const std::string& name) const {
    const TarIndex::Member found = TRY(member(name));
    if (found.size > kMaxManifestBytes)
      return Error(Errc::invalid_input, path_ + ": " + name + " has " + human_bytes(found.size) +
                                            ", at most 4 MiB are read");
    std::string out;
    const auto bytes = source(found);
    for (auto chunk = TRY(bytes->read()); !chunk.empty(); chunk = TRY(bytes->read()))
      out.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
    return out;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  TarIndex index_;
  std::shared_ptr<UniqueFd> file_;
};

class OciArchive final : public ImageOrigin {
 public:
  OciArchive(Archive archive, std::string name)
      : archive_(std::move(archive)), name_(std::move(name)) {}

  Result<FetchedDocument> root() override {
    auto document = TRY(parse_manifest(TRY(archive_.document("index.json")), kOciIndex)
                            .context(archive_.path() + ": index.json"));
    return manifest(TRY(
        choose_by_name(std::get<ImageIndex>(document).manifests, name_).context(archive_.path())));
  }
  Result<FetchedDocument> manifest(const Descriptor& descriptor) override {
    std::string bytes = TRY(archive_.document("blobs/sha256/" + descriptor.digest.hex()));
    if (Digest::of(bytes) != descriptor.digest)
      return Error(Errc::corrupt,
                   archive_.path() + ": the blob " + descriptor.digest.str() + " is damaged");
    return FetchedDocument{std::move(bytes), descriptor.media_type, descriptor.digest};
  }
  Result<std::unique_ptr<ByteSource>> blob(const Descriptor& descriptor,
                                           std::uint64_t offset) override {
    return archive_.source(TRY(archive_.member("blobs/sha256/" + descriptor.digest.hex())), offset);
  }
  std::string where() const override { return archive_.path(); }

 private:
  Archive archive_;
  std::string name_;
};

class DockerArchive final : public ImageOrigin {
 public:
  static Result<std::unique_ptr<ImageOrigin>> open(const std::string& file,
                                                   const std::string& name) {
    auto out = std::unique_ptr<DockerArchive>(new DockerArchive(TRY(Archive::open(file))));
    TRY(out->load(name).context(file));
    return std::unique_ptr<ImageOrigin>(std::move(out));
  }

  Result<FetchedDocument> root() override {
    return FetchedDocument{manifest_, std::string(kDockerManifest), Digest::of(manifest_)};
  }
  Result<FetchedDocument> manifest(const Descriptor&) override { return root(); }
  Result<std::unique_ptr<ByteSource>> blob(const Descriptor& descriptor,
                                           std::uint64_t offset) override {
    const auto found = blobs_.find(descriptor.digest);
    if (found == blobs_.end())
      return Error(Errc::not_found, archive_.path() + " has no " + descriptor.digest.str());
    return archive_.source(found->second, offset);
  }
  std::string where() const override { return archive_.path(); }

 private:
  explicit DockerArchive(Archive archive) : archive_(std::move(archive)) {}

  Result<void> load(const std::string& name) {
    const Json document =
        TRY(parse_image_json(TRY(archive_.document("manifest.json"))).context("manifest.json"));
    const Json entry = TRY(choose(document, name));
    const std::string config_path = TRY(entry.get_string("Config"));
    const std::string config = TRY(archive_.document(config_path));
    const ImageConfig parsed = TRY(ImageConfig::parse(config));
    const auto layers = TRY(entry.get_strings("Layers"));
    if (layers.size() != parsed.diff_ids.size())
      return Error(Errc::corrupt, std::to_string(layers.size()) + " layers, but the config names " +
                                      std::to_string(parsed.diff_ids.size()));
    ImageManifest manifest{std::string(kDockerManifest),
                           {std::string(kDockerConfig), Digest::of(config), config.size()},
                           {},
                           {}};
    blobs_.emplace(manifest.config.digest, TRY(archive_.member(config_path)));
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const TarIndex::Member layer = TRY(archive_.member(layers[i]));
      manifest.layers.push_back({std::string(kDockerLayer), parsed.diff_ids[i], layer.size});
      blobs_.emplace(parsed.diff_ids[i], layer);
    }
    manifest_ = manifest.to_json().dump();
    return {};
  }

  static Result<Json> choose(const Json& document, const std::string& name) {
    const auto& images = document.as_array();
    if (images.empty()) return Error(Errc::not_found, "there is no image in it");
    if (name.empty() && images.size() == 1) return images[0];
    std::vector<std::string> names;
    const auto wanted = ImageReference::parse(name);
    for (const Json& image : images)
      for (const std::string& tag : image["RepoTags"].as_strings()) {
        const auto known = ImageReference::parse(tag);
        if (!name.empty() && (tag == name || (known && wanted && known->name() == wanted->name())))
          return image;
        names.push_back(tag);
      }
    if (name.empty())
      return Error(Errc::invalid_input,
                   "there are " + std::to_string(images.size()) + " images in it")
          .with_hint("say which, after a colon: " + join(names, ", "));
    return Error(Errc::not_found, "no image \"" + name + "\" in it")
        .with_hint(names.empty() ? "no image there has a name: leave the name out"
                                 : "there is " + join(names, ", "));
  }

  Archive archive_;
  std::string manifest_;
  std::map<Digest, TarIndex::Member> blobs_;
};

}  // namespace

Result<std::unique_ptr<ImageOrigin>> open_oci_archive(const std::string& file,
                                                      const std::string& name) {
  return std::unique_ptr<ImageOrigin>(std::make_unique<OciArchive>(TRY(Archive::open(file)), name));
}

Result<std::unique_ptr<ImageOrigin>> open_docker_archive(const std::string& file,
                                                         const std::string& name) {
  return DockerArchive::open(file, name);
}

}  // namespace locald::oci
