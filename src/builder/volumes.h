#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/path_judge.h"
#include "builder/container_options.h"
#include "builder/image_facts.h"
#include "builder/user_lookup.h"

namespace locald::builder {

/// The name of the volume without a name that container `key` has at `target`:
/// stable, so that it is found again at the next start, and no name a user can give.
std::string anonymous_volume_name(const std::string& key, const std::string& target);
/// True for a name that anonymous_volume_name() made for `key` (any key where it is empty).
bool is_anonymous_volume(const std::string& name, const std::string& key);

/// A bind's source, opened and judged: it exists (nothing is created), and neither lies in,
/// contains nor is one of locald's folders, nor is it in /proc. What is mounted is what was opened
/// here.
Result<JudgedPath> open_bind(const std::string& source, const PathJudge& judge);

/// Says aloud, where it is so, that `user` cannot write to the bind: path, uid on the host, and
/// the way out. nullopt when it can.
/// @param host_id  The host's number of an id of the container; nullopt where it has none.
std::optional<std::string> bind_warning(
    const JudgedPath& bind, const std::string& target, const ResolvedUser& user,
    const std::function<std::optional<std::uint32_t>(std::uint32_t)>& host_id);

/// Worker side: makes the folder `target` with what is in `source_fd` (a folder;
/// -1: nothing, root's, 0755): content, owners, modes, xattrs, times, hard links;
/// no symlink is followed. Staged beside it and renamed: it is there as a whole or not
/// at all. A target that is there already stays as it is.
/// @return the number of files and folders copied.
Result<std::uint64_t> make_volume(int source_fd, const std::string& target);

}  // namespace locald::builder
