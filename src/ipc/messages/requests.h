#pragma once
#include <string_view>
#include <vector>

#include "base/json/fields.h"

namespace locald::ipc {

/// One request of the API, for those who look at all of them: the server's table of handlers, the
/// page docs/api.md, tests.
struct RequestInfo {
  std::string_view name;  ///< what follows /v1/
  std::string_view doc;   ///< what it does
  bool streams = false;   ///< events come before the end
  const Fields& (*fields)();
  const Fields& (*reply_fields)();  ///< of what stands under "result"
  /// The request, and its reply, as it was understood, or what is wrong with it.
  Result<Json> (*read)(const Json& body, Reading reading);
  Result<Json> (*read_reply)(const Json& result, Reading reading);
};

/// All, in the order of docs/api.md.
const std::vector<RequestInfo>& requests();

/// The text of docs/api.md.
std::string api_page();

}  // namespace locald::ipc
