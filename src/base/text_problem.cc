#include "base/text_problem.h"

#include <algorithm>
#include <tuple>

namespace locald {

std::string describe(const TextProblems& problems) {
  std::string out;
  for (const TextProblem& p : problems) {
    if (!out.empty()) out += '\n';
    out += p.file;
    if (p.at.line != 0) out += ':' + std::to_string(p.at.line) + ':' + std::to_string(p.at.column);
    out += ": " + p.message;
    if (!p.hint.empty()) out += " (" + p.hint + ")";
  }
  return out;
}

void sort_by_place(TextProblems& problems) {
  std::stable_sort(problems.begin(), problems.end(),
                   [](const TextProblem& a, const TextProblem& b) {
                     return std::tie(a.at.line, a.at.column) < std::tie(b.at.line, b.at.column);
                   });
}

}  // namespace locald
