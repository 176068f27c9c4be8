#include "cnb/buildpacks/buildpack_archive.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <utility>

#include "base/sys/sys.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "oci/archive/decompress.h"
#include "oci/archive/tar_reader.h"
#include "oci/layer/layer_apply.h"
#include "oci/layer/layer_path.h"
#include "oci/ref/reference.h"
#include "oci/store/blob_source.h"
#include "oci/store/image_layout.h"
#include "oci/store/image_store.h"
#include "oci/transfer/image_origin.h"
#include "oci/transfer/resolve.h"

namespace locald::cnb {
namespace {

using Type = oci::TarEntry::Type;

Error bad_archive(std::string message) { return {Errc::invalid_input, std::move(message)}; }

/// A name from outside as a message may hold it.
std::string shown(std::string_view name) {
  std::string out(name.substr(0, 200));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

/// Owners are made root's, whatever the archive says: nobody's ids are needed for it.
oci::ApplyOptions apply_options() {
  oci::ApplyOptions options;
  options.id_map = oci::IdMap::single;
  return options;
}

Result<std::unique_ptr<oci::ByteSource>> source_of(int fd) {
  UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!own) return Error::from_errno(errno, "read the archive");
  return oci::file_source(std::move(own));
}

/// The layers of a package that hold its buildpacks.
Result<std::vector<Module>> unpack_package(const std::string& file, const std::string& images,
                                           BuildpackTree& into) {
  const auto origin = TRY(oci::open_origin({.transport = oci::Transport::oci_archive, .path = file},
                                           oci::RegistryClient::Options{}));
  const oci::ImageStore store = TRY(oci::ImageStore::open(images));
  const oci::ResolvedImage image = TRY(oci::resolve(*origin, store.layout()));
  const ImageModules package = TRY(ImageModules::of_package(image.config));
  std::set<oci::Digest> wanted;
  for (const auto& [key, diff_id] : package.layers) wanted.insert(diff_id);
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    if (wanted.erase(image.config.diff_ids[i]) == 0) continue;
    const oci::Descriptor& layer = image.manifest.layers[i];
    const auto bytes = oci::verified_source(TRY(origin->blob(layer, 0)), layer);
    const oci::AppliedLayer applied =
        TRY(oci::apply_layer_flat(*bytes, layer.media_type, into.raw(), apply_options()));
    if (applied.diff_id != image.config.diff_ids[i])
      return Error(Errc::corrupt, "a layer of it is " + applied.diff_id.str() + ", not " +
                                      image.config.diff_ids[i].str());
  }
  if (!wanted.empty())
    return bad_archive("the layer " + wanted.begin()->str() + " of it is not there");

  std::vector<Module> modules;
  for (const auto& [key, module] : package.modules.all()) {
    const auto& [id, version] = key;
    Module placed =
        TRY(into.place("cnb/buildpacks/" + escape_id(id) + "/" + version, BuildpackTree::Links::any)
                .context(module.name()));
    if (placed.id != id || placed.version != version)
      return bad_archive("what is labelled " + module.name() + " calls itself " + placed.name());
    const bool main = id == package.main_id && version == package.main_version;
    modules.insert(main ? modules.begin() : modules.end(), std::move(placed));
  }
  return modules;
}

/// The tar alone, for who reads members of it in place.
Result<void> inflate(int from, int to) {
  const auto packed = TRY(source_of(from));
  oci::Decompressor plain(*packed, "", {});
  while (true) {
    const auto bytes = TRY(plain.read());
    if (bytes.empty()) return {};
    TRY(sys::write_all(to, {reinterpret_cast<const char*>(bytes.data()), bytes.size()})
            .context("unpack"));
  }
}

}  // namespace

Result<ArchiveSurvey> survey_archive(oci::ByteSource& archive) {
  const oci::LayerLimits limits;
  oci::Decompressor plain(archive, "", limits);
  oci::TarReader reader(plain, limits);
  ArchiveSurvey survey;
  bool at_top = false;
  std::set<std::string> tops, below;  // first parts of names; those with a buildpack.toml in them
  oci::TarEntry entry;
  while (TRY(reader.next(entry))) {
    const std::vector<std::string> parts =
        TRY(oci::clean_path(entry.path, limits).context(shown(entry.path)));
    if (entry.type == Type::char_device || entry.type == Type::block_device)
      return bad_archive(shown(entry.path) + " is a device, which no buildpack has");
    if (entry.type == Type::fifo)
      return bad_archive(shown(entry.path) + " is a FIFO, which no buildpack has");
    if (parts.empty()) continue;
    if (TRY(oci::parse_whiteout(parts.back()).context(shown(entry.path))).kind !=
        oci::Whiteout::none)
      return bad_archive(shown(entry.path) + " is a mark that only layers of images have");
    const bool file = entry.type != Type::dir;
    if (parts.size() == 1 && file && parts[0] == "oci-layout") survey.image_layout = true;
    if (parts.size() == 1 && file && parts[0] == "buildpack.toml") at_top = true;
    if (parts.size() == 2 && file && parts[1] == "buildpack.toml") below.insert(parts[0]);
    tops.insert(parts[0]);
  }
  if (survey.image_layout || at_top) return survey;
  if (below.size() == 1 && tops.size() == 1) {
    survey.top = *below.begin();
    return survey;
  }
  return bad_archive("there is no buildpack.toml in it")
      .with_hint(
          "it stands at the top of the archive or in the one folder there is; a package "
          "(.cnb) is an OCI layout");
}

Result<std::vector<Module>> unpack_buildpacks(int fd, const std::string& path,
                                              const std::string& images, BuildpackTree& into) {
  const auto first = TRY(source_of(fd));
  const ArchiveSurvey survey = TRY(survey_archive(*first));
  if (survey.image_layout) {
    // Members of a package are read in place: it must be plain.
    std::array<unsigned char, 2> magic{};
    const bool gzip = ::pread(fd, magic.data(), magic.size(), 0) == 2 && magic[0] == 0x1f;
    const bool zstd = magic[0] == 0x28 && magic[1] == 0xb5;
    if (!gzip && !zstd) return unpack_package(path, images, into);
    const UniqueFd plain = TRY(into.scratch_file("plain.tar"));
    TRY(inflate(fd, plain.get()));
    return unpack_package(into.scratch_path("plain.tar"), images, into);
  }
  const auto again = TRY(source_of(fd));
  TRY(oci::apply_layer_flat(*again, "", into.raw(), apply_options()));
  return std::vector<Module>{TRY(into.place(survey.top))};
}

}  // namespace locald::cnb
