#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// What may come next on a command line, for shells: made of the tables of verbs, so that it knows
/// what `--help` knows.
namespace locald::cli {

struct Candidate {
  std::string word, text;  ///< `text` may be empty
};
struct Candidates {
  std::vector<Candidate> words;  ///< that begin with what is typed
  bool files = false;            ///< names of files may come too: the shell has them
};

/// Where names come from; each is asked only where it is needed.
struct Names {
  std::function<std::vector<std::string>()> services, containers, images, projects;
};

/// @param words  what stands behind "locald" up to the cursor; the last one is being typed, and may
///               be empty
Candidates complete(const std::vector<std::string>& words, const Names& names);

/// The words of a line as a shell separates them, as far as that can be told: quotes and
/// backslashes go. The last one is being typed.
std::vector<std::string> words_of_line(std::string_view line);

/// `locald __complete SHELL …`: prints candidates as the script of that shell wants them
/// (verb_completion.cc). Never starts a server, and never fails aloud. @return the exit code.
int print_candidates(const std::vector<std::string>& arguments);

}  // namespace locald::cli
