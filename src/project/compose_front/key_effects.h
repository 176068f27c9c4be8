#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// What each key of a compose file does here: the one table, which the front refuses by and
/// docs/compose.md lists.
namespace locald::project::compose {

enum class Effect : std::uint8_t {
  acts,     ///< does what Compose does
  silent,   ///< has no effect that a single machine could show, in Compose either
  idle,     ///< is accepted without effect, and a notice says so
  refused,  ///< is a problem, unless its user has it left out
};

struct KeyEffect {
  /// "services.*.deploy.mode": `*` is a name that people choose; items of lists are not written.
  std::string_view path;
  Effect effect = Effect::acts;
  std::string_view why = {};  ///< refused: the reason; idle: what is so instead; may be empty
};

/// In the order of their paths. What is below a key that does not act is not listed.
std::span<const KeyEffect> key_effects();
/// That of `path`; null where neither it nor a key above it is listed.
const KeyEffect* find_effect(std::string_view path);

/// What `--allow-unsupported` may name: the last parts of refused keys, and words for values.
bool can_be_allowed(std::string_view name);
/// The volume that is Docker's socket.
inline constexpr std::string_view kDockerSocket = "docker.sock";

}  // namespace locald::project::compose
