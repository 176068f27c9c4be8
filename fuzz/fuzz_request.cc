#include <cstdlib>

#include "ipc/messages/requests.h"

/// Property: what a strict reader takes of a request, a tolerant one takes too; what is written of
/// it is read again, to the same text. A refusal names the request.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using locald::Json;
  using locald::Reading;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto body = Json::parse(text, {.reject_duplicates = false, .any_bytes = true});
  if (!body) return 0;
  for (const locald::ipc::RequestInfo& request : locald::ipc::requests()) {
    const auto strict = request.read(*body, Reading::strict);
    const auto tolerant = request.read(*body, Reading::tolerant);
    if (!strict && !strict.error().message().starts_with("request " + std::string(request.name)))
      std::abort();
    if (strict && (!tolerant || tolerant->dump() != strict->dump())) std::abort();
    for (const auto* read : {&strict, &tolerant}) {
      if (!*read) continue;
      const auto again = request.read(**read, Reading::strict);
      if (!again || again->dump() != (*read)->dump()) std::abort();
    }
  }
  return 0;
}
