#pragma once
#include "base/json/json.h"

namespace locald::project {

/// A JSON Schema (draft 7, which taplo and Even Better TOML read) of locald.toml, made of the
/// tables that read the file. It takes all that they take; of what they refuse it takes some: what
/// stands in texts, and what keys say together.
Json key_schema();

}  // namespace locald::project
