#include "project/compose_front/front.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "project/compose_front/key_effects.h"

namespace locald::project::compose {
namespace {

constexpr std::size_t kShownPorts = 3;

class Judge {
 public:
  explicit Judge(Front& front) : front_(front) {}

  /// @param path  as people read it; `pattern`: as key_effects() has it.
  void members(const Node& table, const std::string& path, const std::string& pattern) {
    for (const auto& [name, member] : table.as_table()) {
      // What loading has put there stands where its owner does.
      if (member.at() == table.at() && member.key_at() == table.key_at()) continue;
      const std::string below = pattern.empty() ? name : pattern + "." + name;
      const KeyEffect* effect = find_effect(below);
      const bool known = effect != nullptr && effect->path == below;
      const bool of_people = has_children(pattern + ".*");
      if (known)
        one(*effect, name, member, member_path(path, name));
      else if (of_people)
        value(member, member_path(path, name), pattern + ".*");
      else if (has_children(below))
        value(member, member_path(path, name), below);
    }
  }

 private:
  static bool has_children(const std::string& pattern) {
    const auto all = key_effects();
    return std::any_of(all.begin(), all.end(), [&](const KeyEffect& effect) {
      return effect.path.size() > pattern.size() && effect.path.starts_with(pattern) &&
             effect.path[pattern.size()] == '.';
    });
  }

  void value(const Node& value, const std::string& path, const std::string& pattern) {
    if (value.is_table()) return members(value, path, pattern);
    for (std::size_t i = 0; i < value.as_array().size(); ++i)
      members(value.as_array()[i], item_path(path, i), pattern);
  }

  void one(const KeyEffect& effect, const std::string& name, const Node& member,
           const std::string& path) {
    if (!says_something(member)) return;
    if (effect.effect == Effect::idle) front_.idle(idle_name(effect.path), effect.why);
    if (effect.effect == Effect::refused) (void)front_.refuse(member, path, name, effect.why);
  }

  /// "services.*.deploy.labels": "deploy.labels".
  static std::string_view idle_name(std::string_view path) {
    const std::size_t star = path.find("*.");
    return star == std::string_view::npos ? path : path.substr(star + 2);
  }

  Front& front_;
};

}  // namespace

Front::Front(const Node& of, const ComposeOptions& wanted, Report& to, ProjectSpec& out)
    : model(of), options(wanted), report(to), spec(out) {
  files_.emplace(spec.file, 0);
}

SourcePos Front::placed(const Node& value, SourcePos pos) {
  if (pos.line == 0) return {};
  const auto [file, fresh] = files_.try_emplace(value.file(), files_.size());
  if (fresh) spec.more_files.push_back(value.file());
  pos.file = file->second;
  return pos;
}

SourcePos Front::at(const Node& value) { return placed(value, value.at()); }
SourcePos Front::key_at(const Node& value) {
  return value.key_at().line == 0 ? at(value) : placed(value, value.key_at());
}

std::string Front::shown(const Node& at) const {
  const SourcePos pos = at.key_at().line != 0 ? at.key_at() : at.at();
  const std::string& file = at.file();
  return fmt::format("{}:{}", file.substr(file.rfind('/') + 1), pos.line);
}

bool Front::refuse(const Node& at, const std::string& path, std::string_view name,
                   std::string_view why, std::string hint) {
  const bool left_out = options.allowed.contains(std::string(name));
  if (!refused_.insert(&at).second) return left_out;
  if (left_out) {
    left_out_.push_back(fmt::format("{} ({})", path, shown(at)));
    return true;
  }
  if (hint.empty())
    hint = fmt::format("remove it, or leave it out: locald up --allow-unsupported={}", name);
  std::string message = fmt::format("`{}` is not supported: {}", path, why);
  if (at.key_at().line != 0)
    report.key_problem(at, std::move(message), std::move(hint));
  else  // an item of a list
    report.problem(at, std::move(message), std::move(hint));
  return false;
}

void Front::idle(std::string_view key, std::string_view why) {
  const auto known =
      std::find_if(idle_.begin(), idle_.end(), [&](const Idle& one) { return one.key == key; });
  if (known != idle_.end())
    ++known->times;
  else
    idle_.push_back({std::string(key), std::string(why), 1});
}

void Front::on_loopback(const std::string& port) { on_loopback_.push_back(port); }

std::vector<std::string> Front::notices() const {
  std::vector<std::string> out;
  if (!left_out_.empty())
    out.push_back("left out, as --allow-unsupported says: " + join(left_out_, ", "));
  if (!on_loopback_.empty()) {
    std::vector<std::string> some(on_loopback_.begin(),
                                  on_loopback_.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                             on_loopback_.size(), kShownPorts)));
    std::string ports = join(some, ", ");
    if (some.size() < on_loopback_.size())
      ports += fmt::format(" and {} more", on_loopback_.size() - some.size());
    out.push_back(fmt::format(
        "published on this machine alone, unlike in Compose: {}; for other machines write "
        "\"0.0.0.0:{}\", or `locald up --publish-address 0.0.0.0`",
        ports, on_loopback_[0]));
  }
  if (!idle_.empty()) {
    std::vector<std::string> all;
    for (const Idle& one : idle_)
      all.push_back(fmt::format("`{}`{}{}{}", one.key,
                                one.times > 1 ? fmt::format(" ({} times)", one.times) : "",
                                one.why.empty() ? "" : ": ", one.why));
    out.push_back("without effect here: " + join(all, "; "));
  }
  return out;
}

bool says_something(const Node& value) {
  if (value.is_nothing()) return false;
  if (value.is_bool()) return value.as_bool();
  if (value.is_number()) return value.as_double() != 0;
  if (value.is_string()) return !value.as_string().empty() && value.as_string() != "0";
  if (value.is_array()) return !value.as_array().empty();
  return !value.is_table() || !value.as_table().empty();
}

void judge_keys(Front& front) { Judge(front).members(front.model, "", ""); }

}  // namespace locald::project::compose
