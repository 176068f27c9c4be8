#include "project/resolve/workdir.h"

#include <fmt/format.h>

#include <utility>

namespace locald::project {

Result<JudgedPath> open_workdir(const std::string& path, const PathJudge& judge) {
  auto folder = judge.open(path, PathJudge::Use::look);
  if (!folder && folder.error().code() != Errc::not_found)
    return std::move(folder).error().with_context("workdir");
  if (!folder)
    return Error(Errc::not_found, fmt::format("workdir {} is not there", path))
        .with_hint("create it, or correct `workdir`");
  if (!folder->is_folder())
    return Error(Errc::invalid_input, fmt::format("workdir {} is not a folder", path))
        .with_hint("correct `workdir`");
  return std::move(*folder);
}

}  // namespace locald::project
