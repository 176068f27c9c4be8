#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "project/resolve/interpolation.h"

/// `$V` and `${V…}` in compose files and beside them, by compose's rules. Pure.
///
/// They differ from those of locald.toml (resolve/interpolation.h) in four points: `$V` counts
/// everywhere; a default ends at the `}` that balances its braces, so that it may be JSON; what is
/// not taken is not looked at, however bad it is; there is no `${services.…}`. The operator that
/// stands right behind the name is the one that counts: `${B:-/a:-b}` is `/a:-b` for an empty B.
namespace locald::project::compose {

/// What one value may grow to, in bytes.
inline constexpr std::size_t kMaxExpanded = 1u << 20;

/// Of `lookup`, `variable` and `unset` count: a name without value and default goes to `unset`.
/// @return Errc::invalid_input for a bad form, for `${V:?error}`, and for more than kMaxExpanded.
Result<std::string> substitute(std::string_view text, const Lookup& lookup);

}  // namespace locald::project::compose
