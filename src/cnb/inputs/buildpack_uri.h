#pragma once
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "oci/ref/reference.h"
#include "oci/registry/url.h"

namespace locald::cnb {

/// A folder with a buildpack.toml, or an archive (a buildpackage .cnb, or a tar of such a folder).
struct LocalPath {
  std::string path;  ///< as written; a relative one starts at the folder of the project.toml
  friend bool operator==(const LocalPath&, const LocalPath&) = default;
};
/// A buildpackage as an image (spec: distribution.md#buildpackage).
struct ImageName {
  oci::ImageReference reference;
  friend bool operator==(const ImageName&, const ImageName&) = default;
};
/// An archive to download.
struct RemoteArchive {
  oci::Url url;  ///< https, or http on this machine
  friend bool operator==(const RemoteArchive&, const RemoteArchive&) = default;
};
/// An entry of the buildpack registry (spec: extensions/buildpack-registry.md).
struct RegistryId {
  std::string name_space, name;
  std::string version;  ///< empty: the newest
  friend bool operator==(const RegistryId&, const RegistryId&) = default;
};
/// A buildpack that the builder holds.
struct BuilderModule {
  std::string id;
  std::string version;  ///< empty: the builder's newest
  friend bool operator==(const BuilderModule&, const BuilderModule&) = default;
};
/// The whole order of the builder stands in this place.
struct BuilderOrder {
  friend bool operator==(const BuilderOrder&, const BuilderOrder&) = default;
};
/// What only a look at the disk and into the builder can tell: settle().
struct BareName {
  std::string text;
  friend bool operator==(const BareName&, const BareName&) = default;
};

/// Where a buildpack comes from, as the `uri` of a project.toml says it.
using BuildpackUri = std::variant<LocalPath, ImageName, RemoteArchive, RegistryId, BuilderModule,
                                  BuilderOrder, BareName>;

/// Understands what pack does (its GetLocatorType), and image layouts:
///
///     ./bp  ../bp.tgz  /opt/bp  bp.cnb  file:///opt/bp      LocalPath
///     docker://NAME  oci:DIR[:NAME]  oci-archive:FILE       ImageName
///     https://host/bp.tgz                                   RemoteArchive
///     urn:cnb:registry:NS/NAME[@VERSION]                    RegistryId
///     urn:cnb:builder:ID[@VERSION]  from=builder:ID[@…]     BuilderModule (and urn:buildpack:ID)
///     from=builder                                          BuilderOrder
///     anything else                                         BareName
///
/// Each part is checked as far as its text tells; nothing is looked up.
/// @param base_dir  Where the relative paths of image layouts start; empty leaves them as they are.
/// @return Errc::invalid_input with what is wrong; there may be a hint.
Result<BuildpackUri> parse_buildpack_uri(std::string_view text, const std::string& base_dir);

/// What a bare name is, asked in pack's order: a path that is there, a buildpack of the builder
/// ("ID[@VERSION]"), an id of the registry ("ns/name[@1.2.3]"), an image.
/// @return Errc::invalid_input if it is none of these.
Result<BuildpackUri> settle(const BareName& name, bool path_exists, bool in_builder);

/// The form of a buildpack's id (spec: buildpack.md#buildpackid); it becomes part of paths.
/// @return Errc::invalid_input with what is wrong.
Result<void> check_buildpack_id(std::string_view id);

/// The form of a buildpack's version, which becomes a name in paths too: "1.2.3", "1.0.0-rc.1".
/// @return Errc::invalid_input with what is wrong.
Result<void> check_buildpack_version(std::string_view version);

/// Splits "ID[@VERSION]" and checks both.
Result<BuilderModule> parse_buildpack_id(std::string_view text);

}  // namespace locald::cnb
