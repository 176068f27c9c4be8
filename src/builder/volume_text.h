#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// The one grammar of volumes: of project files, of `container run -v` and `--tmpfs`. Pure.
namespace locald::builder {

/// A volume as it was written.
struct VolumeConfig {
  enum class Kind : std::uint8_t { named, bind, anonymous, tmpfs };
  Kind kind = Kind::named;
  std::string source;  ///< named: its name; bind: absolute path
  std::string target;  ///< absolute, in the container
  bool read_only = false;
  std::string options;  ///< tmpfs: "size=64m"
};

/// Compose's short form: "data:/path", "./dir:/path:ro", "/path" (anonymous). A source that begins
/// with "/", "." or "~" is a folder or file of the host; relative ones start at `dir`, `~/` is what
/// `home` says, which is asked only then.
/// Options are those of compose, Docker and Podman: ro, rw; and z, Z, U, nocopy, cached, delegated,
/// consistent, which are taken and have no effect.
/// @param notices  Takes a sentence for each option without effect.
/// @return Errc::invalid_input saying what is wrong, with the forms there are. "tmpfs" is not the
/// name of a volume: a tmpfs has a form of its own (parse_tmpfs).
Result<VolumeConfig> parse_volume(const std::string& text, const std::string& dir,
                                  const std::function<std::string()>& home,
                                  std::vector<std::string>& notices);
/// The same of the long form, whose `source` may hold colons; empty: anonymous.
Result<VolumeConfig> volume_of(const std::string& source, const std::string& target,
                               const std::string& dir, const std::function<std::string()>& home);
/// "/run" or "/run:size=64m".
Result<VolumeConfig> parse_tmpfs(const std::string& text);
/// Of its options: "size=64m"; 0 where no size is given.
Result<std::uint64_t> tmpfs_bytes(const std::string& options);

}  // namespace locald::builder
