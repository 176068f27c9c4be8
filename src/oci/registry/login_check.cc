#include "oci/registry/login_check.h"

#include "base/strings.h"
#include "oci/registry/registry_session.h"

namespace locald::oci {
namespace {

constexpr const char* kAnyImage = "/any/image";

}  // namespace

Result<std::string> registry_name(const std::string& text) {
  std::string_view name = text;
  for (const std::string_view scheme : {"https://", "http://"})
    if (name.starts_with(scheme)) name.remove_prefix(scheme.size());
  while (name.ends_with('/')) name.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"})
    if (name.ends_with(version)) name.remove_suffix(version.size());
  if (name == "index.docker.io" || name == "registry-1.docker.io") name = "docker.io";
  const auto parsed = ImageReference::parse(std::string(name) + kAnyImage);
  if (!parsed || !parsed->is_registry() || parsed->registry != to_lower(name))
    return Error(Errc::invalid_input, "invalid registry \"" + text + "\"")
        .with_hint("a host, with its port where it has one: docker.io, registry.example:5000");
  return parsed->registry;
}

Result<bool> check_login(const std::string& registry, const Credentials& login,
                         const std::stop_token& stop) {
  const ImageReference reference = TRY(ImageReference::parse(registry + kAnyImage));
  RegistrySession::Wanted wanted{.target = "/v2/", .what = "an answer", .good = {200, 401}};
  wanted.tries = 2;
  RegistrySession anonymous(reference, {.stop = stop}, {});
  if (TRY(anonymous.open(wanted))->status() == 200) return false;
  RegistrySession session(
      reference, {.stop = stop, .login = login, .login_hint = "check user and password"}, {});
  wanted.good = {200};
  auto answer = session.open(wanted);
  if (!answer && answer.error().code() == Errc::denied)
    return Error(Errc::denied, registry + " refuses this user and password")
        .with_hint("some registries want a token in place of the password");
  TRY(std::move(answer));
  return true;
}

}  // namespace locald::oci
