#include "base/node/text_problem.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace locald {

std::string place(const std::string& file, SourcePos at) {
  std::string out = file;
  if (at.line != 0) {
    if (!out.empty()) out += ':';
    out += std::to_string(at.line) + ':' + std::to_string(at.column);
  }
  return out.empty() ? out : out + ": ";
}

std::string describe(const TextProblems& problems) {
  std::string out;
  for (const TextProblem& p : problems) {
    if (!out.empty()) out += '\n';
    out += place(p.file, p.at) + p.message;
    if (!p.hint.empty()) out += " (" + p.hint + ")";
  }
  return out;
}

void sort_by_place(TextProblems& problems) {
  std::map<std::string, std::size_t> turn;  // of files
  for (const TextProblem& p : problems) turn.emplace(p.file, turn.size());
  std::stable_sort(problems.begin(), problems.end(),
                   [&](const TextProblem& a, const TextProblem& b) {
                     return std::tuple(turn[a.file], a.at.line, a.at.column) <
                            std::tuple(turn[b.file], b.at.line, b.at.column);
                   });
}

}  // namespace locald
