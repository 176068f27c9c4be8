#include "project/resolve/variables.h"

#include <fmt/format.h>

#include <utility>

#include "base/strings.h"

namespace locald::project {
namespace {

std::string joined(const std::set<std::string>& names) {
  return join({names.begin(), names.end()}, ", ");
}

}  // namespace

void Variables::at(const std::string& service, const std::string& file, SourcePos pos) {
  service_ = service;
  file_ = file;
  at_ = pos;
}

void Variables::load_dotenv() {
  if (std::exchange(loaded_, true)) return;
  auto text = in_.read(in_.dotenv);
  if (!text) {
    if (text.error().code() == Errc::not_found) return;
    unreadable_ = true;
    const Error error =
        std::move(text).error().with_hint("make it readable, or give it another name");
    dotenv_problems_.push_back({{}, {}, error.message(), error.hint()});
    return;
  }
  // What `.env` itself refers to: here without an account of it, as most entries are not used.
  const auto environment = [this](const std::string& name) -> std::optional<std::string> {
    if (const auto it = in_.env.find(name); it != in_.env.end()) return it->second;
    return std::nullopt;
  };
  const auto captured = [this](const std::string& name) -> std::optional<std::string> {
    const auto known = in_.captured ? in_.captured(service_, name) : std::nullopt;
    return known && known->from_env ? known->value : std::nullopt;
  };
  for (DotenvEntry& entry :
       parse_dotenv(*text, in_.dotenv, environment, dotenv_problems_, nullptr, captured))
    dotenv_.insert_or_assign(entry.name, std::move(entry));
}

const DotenvEntry* Variables::in_dotenv(const std::string& name) {
  load_dotenv();
  const auto it = dotenv_.find(name);
  return it == dotenv_.end() || !it->second.value ? nullptr : &it->second;
}

Variables::Used Variables::look_up(const std::string& name, std::vector<std::string>& more) {
  Used out{.now = {}, .services = {}, .file = file_, .at = at_};
  const auto present = in_.env.find(name);
  const auto known = in_.captured ? in_.captured(service_, name) : std::nullopt;
  if (present != in_.env.end()) {
    out.now = {present->second, true};
    if (!known || in_.refresh || known->value == present->second) return out;
    // What it would be without this environment: of that, nothing changes.
    const DotenvEntry* entry = in_dotenv(name);
    if (entry != nullptr && entry->value == present->second) return out;
    out.other = true;
    return out;
  }
  if (const DotenvEntry* entry = in_dotenv(name)) {
    out.now = {entry->value, false};
    more.insert(more.end(), entry->read.begin(), entry->read.end());
    return out;
  }
  if (known && known->from_env) {
    out.now = *known;
    out.kept = true;
  }
  return out;
}

std::optional<std::string> Variables::value(const std::string& name) {
  // What stands in a value of `.env` is used too, however long the chain is.
  std::vector<std::string> names{name};
  while (!names.empty()) {
    const std::string next = std::move(names.back());
    names.pop_back();
    auto it = used_.find(next);
    if (it == used_.end()) it = used_.emplace(next, look_up(next, names)).first;
    it->second.services.insert(service_);
  }
  return used_.at(name).now.value;
}

bool Variables::may_be_in_dotenv() {
  load_dotenv();
  return unreadable_;
}

void Variables::problems(Problems& out, const std::string& project) const {
  out.insert(out.end(), dotenv_problems_.begin(), dotenv_problems_.end());
  for (const auto& [name, used] : used_)
    if (used.other)
      out.push_back(
          {used.file, used.at,
           fmt::format("{} has another value here than where {} was brought up; used by {}", name,
                       project, joined(used.services)),
           fmt::format("nothing was changed; `locald up --env-refresh` takes the values of this "
                       "environment, and with {} unset what runs keeps its own",
                       name)});
}

std::vector<std::pair<std::string, std::string>> Variables::notices() const {
  std::vector<std::pair<std::string, std::string>> out;
  std::set<std::string> kept, told;
  for (const auto& [name, used] : used_) {
    if (used.kept) kept.insert(name);
    const auto entry = dotenv_.find(name);
    if (used.now.from_env || entry == dotenv_.end()) continue;
    for (std::string& text : vanished_notices(entry->second, in_.dotenv, told))
      out.emplace_back("", std::move(text));
  }
  if (!kept.empty())
    out.emplace_back("", fmt::format("not set here, and taken as when the project was brought up: "
                                     "{} (`locald down` forgets that)",
                                     joined(kept)));
  return out;
}

Capture Variables::capture() const {
  Capture out;
  for (const auto& [name, used] : used_) out[name] = used.now;
  return out;
}

Uses Variables::uses() const {
  Uses out;
  for (const auto& [name, used] : used_) out[name] = used.services;
  return out;
}

std::vector<std::string> vanished_notices(const DotenvEntry& entry, const std::string& file,
                                          std::set<std::string>& told) {
  std::vector<std::string> out;
  for (const std::string& name : entry.vanished)
    if (told.insert(name).second)
      out.push_back(
          fmt::format("{}:{}: {}: ${} is not set and counts as empty; write $$ for a literal $, or "
                      "put the whole value in single quotes, or write ${{{}:-}} if it may be empty",
                      file, entry.line, entry.name, name, name));
  return out;
}

}  // namespace locald::project
