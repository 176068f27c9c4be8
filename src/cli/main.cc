#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/standard_fds.h"
#include "cli/complete.h"
#include "cli/context.h"
#include "cli/overview.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/version.h"

namespace locald::cli {
namespace {

/// The verb that `words` begin with, one or two words long; `used` says how many.
const Verb* find_verb(const std::vector<std::string>& words, std::size_t& used) {
  std::string first = words[0] == "ps" ? "status" : words[0];
  for (const Verb* verb : all_verbs()) {
    if (first == verb->name) return used = 1, verb;
    if (words.size() > 1 && first + " " + words[1] == verb->name) return used = 2, verb;
  }
  return nullptr;
}

/// What to say about a verb that does not exist.
int unknown_verb(const std::vector<std::string>& words) {
  std::vector<std::string> names, groups;
  for (const Verb* verb : all_verbs()) {
    const std::string name = verb->name;
    if (name.starts_with(words[0] + " ")) groups.push_back(name);
    names.push_back(name);
    if (const auto blank = name.find(' '); blank != std::string::npos)
      names.push_back(name.substr(0, blank));
  }
  if (!groups.empty()) {
    if (words.size() == 1 || words[1].starts_with("-"))
      return usage_error(words[0] + ": its verb is missing", "there are: " + join(groups, ", "));
    const auto near = did_you_mean(words[0] + " " + words[1], groups);
    return usage_error(
        "there is no verb \"" + words[0] + " " + words[1] + "\"",
        near ? "did you mean locald " + *near + "?" : "there are: " + join(groups, ", "));
  }
  // What the hand types that comes from elsewhere; a guess by letters could stop something.
  constexpr std::pair<std::string_view, std::string_view> kElsewhere[] = {
      {"pull", "image pull"},
      {"images", "image ls"},
      {"rmi", "image rm"},
      {"rm", "container rm"},
      {"kill", "stop"},
      {"tag", "image tag"},
      {"history", "image history"},
      {"prune", "system prune"},
      {"df", "system df"},
      {"list", "status"},
      {"shell", "exec -it SERVICE -- sh"}};
  for (const auto& [theirs, ours] : kElsewhere)
    if (words[0] == theirs)
      return usage_error("there is no verb \"" + words[0] + "\"",
                         "use: locald " + std::string(ours));
  const auto near = did_you_mean(words[0], names);
  return usage_error("there is no verb \"" + words[0] + "\"",
                     near ? "did you mean locald " + *near + "?" : "locald --help lists all verbs");
}

int print_help(const std::vector<std::string>& words) {
  std::size_t used = 0;
  if (words.empty()) return out(overview()) ? 0 : 1;
  if (const Verb* verb = find_verb(words, used)) return out(help_text(*verb)) ? 0 : 1;
  std::string group;
  for (const Verb* verb : all_verbs())
    if (std::string(verb->name).starts_with(words[0] + " ")) group += help_text(*verb) + "\n";
  if (group.empty()) return unknown_verb(words);
  return out(group) ? 0 : 1;
}

int run_verb(const Verb& verb, Context& context, const std::vector<std::string>& words) {
  const auto args = Args::parse(verb, words);
  if (!args) {
    print_error(args.error());
    return 2;
  }
  if (args.value().wants_help()) return out(help_text(verb)) ? 0 : 1;
  auto code = verb.run(context, args.value());
  if (!code) print_error(code.error());
  if (auto whole = check_output(); !whole) {
    print_error(whole.error());
    return verb.own_failure;
  }
  return code ? *code : verb.own_failure;
}

/// `path` made absolute.
int run(int argc, char** argv) {
  Context context;
  const option longs[] = {{"help", no_argument, nullptr, 'h'},
                          {"version", no_argument, nullptr, 'V'},
                          {"profile", required_argument, nullptr, 'P'},
                          {}};
  ::opterr = 0;
  int found = 0;
  while ((found = ::getopt_long(argc, argv, "+:C:f:p:h", longs, nullptr)) != -1) {
    switch (found) {
      case 'C':
        if (::chdir(::optarg) != 0) {
          print_error(Error::from_errno(errno, std::string("-C ") + ::optarg));
          return 2;
        }
        break;
      case 'f': {
        auto file = absolute_path(::optarg);
        if (!file) return print_error(file.error()), 1;
        if (context.file)
          context.more_files.push_back(*file);
        else
          context.file = *file;
        break;
      }
      case 'P':
        context.profiles.emplace_back(::optarg);
        break;
      case 'p':
        context.project_name = ::optarg;
        break;
      case 'h':
        return out(overview()) ? 0 : 1;
      case 'V':
        return out("locald " + std::string(ipc::kVersion) + " (" + std::string(ipc::kBuild) + ")\n")
                   ? 0
                   : 1;
      case ':':
        return usage_error(std::string("option ") + argv[::optind - 1] + " needs a value",
                           "locald --help");
      default:
        return usage_error(std::string("unknown option ") + argv[::optind - 1],
                           "only -C, -f, -p, --profile, --help and --version go before the verb");
    }
  }
  if (const char* name = std::getenv("LOCALD_PROJECT");
      !context.project_name && name != nullptr && *name != 0)
    context.project_name = name;
  std::vector<std::string> words(argv + ::optind, argv + argc);
  if (words.empty()) {
    err(overview());
    return 2;
  }
  if (words[0] == "__complete") return print_candidates({words.begin() + 1, words.end()});
  if (words[0] == "help") return print_help({words.begin() + 1, words.end()});
  std::size_t used = 0;
  if (const Verb* verb = find_verb(words, used))
    return run_verb(*verb, context,
                    {words.begin() + static_cast<std::ptrdiff_t>(used), words.end()});
  if (words.size() > 1 && (words[1] == "--help" || words[1] == "-h")) return print_help({words[0]});
  return unknown_verb(words);
}

}  // namespace
}  // namespace locald::cli

int main(int argc, char** argv) {
  locald::fill_standard_fds();
  const int code = locald::cli::run(argc, argv);
  if (auto whole = locald::cli::check_output(); !whole) {  // of --help and the like
    locald::cli::print_error(whole.error());
    return code != 0 ? code : 1;
  }
  return code;
}
