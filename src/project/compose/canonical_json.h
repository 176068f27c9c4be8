#pragma once
#include "base/json/json.h"
#include "base/node/node.h"

namespace locald::project::compose {

/// The project as `docker compose config --format json` lays it out: what says nothing is left out
/// (Key::rule), `command` and `entrypoint` are there always, `x-…` is left out, and so are the
/// values of secrets.
/// @param model  decoded, with its `name`.
Json canonical_json(const Node& model);

}  // namespace locald::project::compose
