#include "ipc/codec.h"

namespace locald::ipc {

Json to_json(const Error& error) {
  Json out = Json::object({{"code", to_string(error.code())}, {"message", error.message()}});
  if (!error.hint().empty()) out.set("hint", error.hint());
  return out;
}

Error error_from_json(const Json& error) {
  std::string message = error["message"].as_string();
  if (message.empty()) message = "the server gave no reason";
  Error out(errc_from_string(error["code"].as_string()), std::move(message));
  if (const std::string& hint = error["hint"].as_string(); !hint.empty())
    return std::move(out).with_hint(hint);
  return out;
}

}  // namespace locald::ipc
