#pragma once
#include "base/json/json.h"
#include "base/result.h"

/// The parts of api.h that both sides write and read.
namespace locald::ipc {

/// {"code", "message", "hint"?}: what stands under "error".
Json to_json(const Error& error);

/// The inverse. Problems of a project file ("problems") become lines of the message:
/// "shop/locald.toml:7: unknown key …". Never fails: what is missing stays empty.
Error error_from_json(const Json& error);

}  // namespace locald::ipc
