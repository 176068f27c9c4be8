#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

// Each asks this program (complete.h), so that a script once read knows the verbs of the next
// version too.

constexpr const char* kBash = R"(# bash completion for locald
_locald() {
  local found
  mapfile -t found < <("${COMP_WORDS[0]}" __complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  if [[ ${found[0]-} == :files ]]; then
    compopt -o filenames
    mapfile -t found < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
  fi
  COMPREPLY=("${found[@]}")
}
complete -F _locald locald
)";

constexpr const char* kZsh = R"(#compdef locald
_locald() {
  local -a found
  found=("${(@f)$("${words[1]}" __complete zsh "${(@Q)words[1,CURRENT]}" 2>/dev/null)}")
  if [[ ${found[1]} == :files ]]; then
    _files
  elif [[ -n ${found[1]} ]]; then
    _describe -V locald found
  fi
}
if [[ ${funcstack[1]-} == _locald ]]; then
  _locald "$@"
else
  compdef _locald locald
fi
)";

constexpr const char* kFish = R"(# fish completion for locald
function __locald_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] __complete fish $words 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c locald -f -a '(__locald_complete)'
)";

Result<int> completion_verb(Context&, const Args& args) {
  const std::string& shell = args.argument(0);
  const char* script = shell == "bash"   ? kBash
                       : shell == "zsh"  ? kZsh
                       : shell == "fish" ? kFish
                                         : nullptr;
  if (script == nullptr)
    return usage_error("no completion for \"" + shell + "\"", "there are: bash, zsh, fish");
  return out(script) ? 0 : 1;
}

}  // namespace

const Verb kCompletion{
    .name = "completion",
    .usage = "SHELL",
    .summary = "print a script for completion: bash, zsh or fish",
    .details =
        "Verbs, options, and the names of services, containers and images are completed by Tab\n"
        "in a shell that has read the script. The Debian package installs it for all three.\n\n"
        "examples:\n"
        "  source <(locald completion bash)         in ~/.bashrc; zsh likewise, after compinit\n"
        "  locald completion fish | source          in ~/.config/fish/config.fish\n",
    .options = {},
    .min_arguments = 1,
    .max_arguments = 1,
    .run = completion_verb,
};

}  // namespace locald::cli
