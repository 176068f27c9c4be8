#pragma once
#include <optional>
#include <string>

#include "base/result.h"

/// The file in which Podman, Skopeo and Buildah keep logins for registries
/// (containers-auth.json(5)); locald keeps none of its own.
namespace locald::cli {

/// The one that a login goes into: the first of login_files(). Errc::not_found where neither
/// XDG_RUNTIME_DIR nor HOME names a place.
Result<std::string> auth_file();

/// Writes a login into the file, 0600, as a whole (R-ATOMIC); other entries and members stay.
/// @return Errc::invalid_input: the file is not of that kind. It is left alone.
Result<void> store_login(const std::string& file, const std::string& registry,
                         const std::string& user, const std::string& password);

/// Takes the login for `registry` out of the file; nullopt: all of them.
/// @return how many there were
Result<std::size_t> remove_login(const std::string& file,
                                 const std::optional<std::string>& registry);

/// What keeps logins for `registry` instead of the file; empty: nothing.
std::string login_helper(const std::string& file, const std::string& registry);

std::string to_base64(std::string_view bytes);

}  // namespace locald::cli
