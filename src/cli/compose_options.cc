#include "cli/compose_options.h"

#include "base/strings.h"

namespace locald::cli {

ipc::ComposeWishes compose_wishes(const Context& context, const Args& args) {
  ipc::ComposeWishes out{.profiles = context.profiles,
                         .publish_address = args.value("publish-address").value_or("")};
  for (const std::string& profile : args.values("profile")) out.profiles.push_back(profile);
  for (const std::string& list : args.values("allow-unsupported"))
    for (const std::string& key : split(list, ','))
      if (!key.empty()) out.allow_unsupported.push_back(key);
  return out;
}

}  // namespace locald::cli
