#include "cli/overview.h"

#include <algorithm>
#include <cstring>

#include "cli/verbs.h"

namespace locald::cli {

std::string overview() {
  std::string text = "usage: " + std::string(kSynopsis) + "\n\n" + kPurpose;
  std::size_t width = 0;
  for (const Verb* verb : all_verbs()) width = std::max(width, std::strlen(verb->name));
  for (const VerbGroup& group : verb_groups()) {
    text += "\n" + std::string(group.title) + ":\n";
    for (const Verb* verb : group.verbs)
      text += "  " + std::string(verb->name) +
              std::string(width - std::strlen(verb->name) + 2, ' ') + verb->summary + "\n";
  }
  return text + "\noptions before the verb:\n" + kGlobalOptions + "\n" + kEnvironment + kExitCodes;
}

}  // namespace locald::cli
