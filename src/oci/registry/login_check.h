#pragma once
#include <stop_token>
#include <string>

#include "base/result.h"
#include "oci/registry/credentials.h"

namespace locald::oci {

/// A registry as images name it: "docker.io" also for "index.docker.io" and "https://docker.io/".
/// @return Errc::invalid_input: it names an image, or is not a registry's name.
Result<std::string> registry_name(const std::string& text);

/// Says `login` to `registry` and nobody else, as RegistrySession does.
/// @return false: it answers without a login, so this one is not looked at;
///         Errc::denied: it refuses it
Result<bool> check_login(const std::string& registry, const Credentials& login,
                         const std::stop_token& stop);

}  // namespace locald::oci
