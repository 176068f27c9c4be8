#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/registry/credentials.h"

namespace locald::oci {

/// What was found on a registry in the files that other tools keep logins in.
struct FoundLogin {
  std::optional<Credentials> login;
  std::string hint;  ///< where there is none: why, and what to do about it; may be empty
};

/// Reads one such file: ~/.docker/config.json, or containers/auth.json of Podman and Skopeo, both
/// the same JSON. Of their entries "auths" are read: those for the repository itself, for a part of
/// its path, for the registry. Programs that keep logins elsewhere ("credHelpers", "credsStore")
/// are not run, but named in the hint; so are identity tokens. Never fails: what cannot be read
/// holds no login.
/// @param file        What the hint calls it.
/// @param registry    As in ImageReference: "docker.io", "localhost:5000".
FoundLogin parse_login_file(std::string_view text, const std::string& file,
                            const std::string& registry, const std::string& repository);

/// The first of `files` that has a login; the first hint where none has. Missing files are fine.
FoundLogin find_login(const std::vector<std::string>& files, const std::string& registry,
                      const std::string& repository);

}  // namespace locald::oci
