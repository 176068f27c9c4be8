#include "cli/complete.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/strings.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

/// What takes the place of a word in a usage line, or of an option's value.
enum class Kind { nothing, services, containers, images, projects, files, shells, policies, named };

Kind kind_of(std::string_view placeholder) {
  const auto has = [&](std::string_view word) {
    return placeholder.find(word) != std::string_view::npos;
  };
  if (has("SERVICE") && has("IMAGE")) return Kind::named;
  if (has("SERVICE")) return Kind::services;
  if (has("CONTAINER") || placeholder.starts_with("ID")) return Kind::containers;
  if (has("IMAGE")) return Kind::images;
  if (has("PROJECT")) return Kind::projects;
  if (has("SHELL")) return Kind::shells;
  if (has("WHEN")) return Kind::policies;
  for (const char* file : {"DIR", "FILE", "FOLDER", "DEST", "COMMAND", "ARG", "PROGRAM"})
    if (has(file)) return Kind::files;
  return Kind::nothing;
}

/// The arguments of "[-f] [-e NAME=VALUE] SERVICE [--] [COMMAND [ARG…]]": SERVICE, COMMAND, ARG…
std::vector<std::string> arguments_of(std::string_view usage) {
  std::vector<std::string> out;
  bool option = false;  // within the brackets of one
  for (const std::string& word : split(usage, ' ')) {
    const std::size_t begin = word.find_first_not_of('[');
    if (begin == std::string::npos) continue;
    const bool begins_option = word[begin] == '-' || word.starts_with("[OPTION");
    option = option || begins_option;
    if (!option) {
      std::string name = word.substr(begin);
      std::erase(name, ']');
      out.push_back(std::move(name));
    }
    if (word.ends_with(']')) option = false;
    if (begins_option && begin == 0) option = false;
  }
  return out;
}

class Completer {
 public:
  Completer(std::vector<std::string> words, const Names& names)
      : words_(std::move(words)), names_(names) {
    if (words_.empty()) words_.emplace_back();
    typed_ = words_.back();
    words_.pop_back();
  }

  Candidates run() {
    if (const auto value = skip_globals()) {
      add(*value);
      return std::move(out_);
    }
    if (at_ == words_.size()) {
      if (typed_.starts_with("-"))
        globals();
      else
        verbs();
      return std::move(out_);
    }
    std::size_t used = 0;
    if (const Verb* verb = find_verb(used)) {
      at_ += used;
      within(*verb);
    } else if (at_ + 1 == words_.size()) {
      if (words_[at_] == "help")
        verbs();
      else
        second_words(words_[at_]);
    }
    return std::move(out_);
  }

 private:
  /// Passes -C DIR and its like. @return what the value is that is being typed
  std::optional<Kind> skip_globals() {
    while (at_ < words_.size() && words_[at_].starts_with("-")) {
      const std::string& word = words_[at_++];
      const bool takes_value = word == "-C" || word == "-f" || word == "-p";
      if (!takes_value) continue;
      if (at_ == words_.size()) return word == "-p" ? Kind::projects : Kind::files;
      ++at_;
    }
    return std::nullopt;
  }

  const Verb* find_verb(std::size_t& used) const {
    for (const Verb* verb : all_verbs()) {
      if (words_[at_] == verb->name) return used = 1, verb;
      if (at_ + 1 < words_.size() && words_[at_] + " " + words_[at_ + 1] == verb->name)
        return used = 2, verb;
    }
    return nullptr;
  }

  void within(const Verb& verb) {
    std::size_t arguments = 0;
    bool options_end = false;
    for (; at_ < words_.size(); ++at_) {
      const std::string& word = words_[at_];
      if (word == "--") {
        options_end = true;
      } else if (!options_end && word.starts_with("-") && word != "-") {
        const Option* option = with_value(verb, word);
        if (option != nullptr && ++at_ == words_.size()) return add(kind_of(option->value));
      } else {
        ++arguments;
        options_end = options_end || verb.verbatim;
      }
    }
    if (!options_end && typed_.starts_with("-")) return options(verb);
    const std::vector<std::string> expected = arguments_of(verb.usage);
    if (arguments < expected.size())
      add(verb_kind(verb, expected[arguments]));
    else if (!expected.empty() && expected.back().ends_with("…"))
      add(verb_kind(verb, expected.back()));
  }

  /// NAME is a project's where the verb is about projects.
  static Kind verb_kind(const Verb& verb, const std::string& placeholder) {
    if (placeholder == "NAME" && std::string_view(verb.name).starts_with("project "))
      return Kind::projects;
    return kind_of(placeholder);
  }

  /// The option that `word` ends with and that takes the next word; null: none does.
  static const Option* with_value(const Verb& verb, const std::string& word) {
    for (const Option& option : verb.options) {
      if (option.value == nullptr) continue;
      if (word == std::string("--") + option.name) return &option;
      if (option.letter != 0 && !word.starts_with("--") && word.back() == option.letter)
        return &option;
    }
    return nullptr;
  }

  void options(const Verb& verb) {
    for (const Option& option : verb.options) word(std::string("--") + option.name, option.help);
    word("--help", "show the verb's help");
  }

  void globals() {
    word("--help", "show all verbs");
    word("--version", "print the version");
    word("-C", "work in another folder");
    word("-f", "the project file itself");
    word("-p", "the project's name");
  }

  void verbs() {
    std::set<std::string> groups;
    for (const Verb* verb : all_verbs()) {
      const std::string name = verb->name;
      const std::size_t blank = name.find(' ');
      if (blank == std::string::npos)
        word(name, verb->summary);
      else if (groups.insert(name.substr(0, blank)).second)
        word(name.substr(0, blank), join(second_names(name.substr(0, blank)), ", "));
    }
    word("help", "show the help of a verb");
  }

  static std::vector<std::string> second_names(const std::string& group) {
    std::vector<std::string> out;
    for (const Verb* verb : all_verbs())
      if (const std::string name = verb->name; name.starts_with(group + " "))
        out.push_back(name.substr(group.size() + 1));
    return out;
  }

  void second_words(const std::string& group) {
    for (const Verb* verb : all_verbs())
      if (const std::string name = verb->name; name.starts_with(group + " "))
        word(name.substr(group.size() + 1), verb->summary);
  }

  void add(Kind kind) {
    const auto names = [this](const std::function<std::vector<std::string>()>& source,
                              const char* text) {
      if (source)
        for (std::string& name : source()) word(std::move(name), text);
    };
    switch (kind) {
      case Kind::services:
        return names(names_.services, "service");
      case Kind::containers:
        return names(names_.containers, "container");
      case Kind::images:
        return names(names_.images, "image");
      case Kind::projects:
        return names(names_.projects, "project");
      case Kind::named:
        names(names_.services, "service");
        names(names_.containers, "container");
        return names(names_.images, "image");
      case Kind::shells:
        for (const char* shell : {"bash", "zsh", "fish"}) word(shell, "");
        return;
      case Kind::policies:
        for (const char* policy : {"missing", "always", "never"}) word(policy, "");
        return;
      case Kind::files:
        out_.files = true;
        return;
      case Kind::nothing:
        return;
    }
  }

  void word(std::string text, std::string explained) {
    if (text.starts_with(typed_)) out_.words.push_back({std::move(text), std::move(explained)});
  }

  std::vector<std::string> words_;  // before the one that is being typed
  const Names& names_;
  std::string typed_;
  std::size_t at_ = 0;
  Candidates out_;
};

}  // namespace

Candidates complete(const std::vector<std::string>& words, const Names& names) {
  return Completer(words, names).run();
}

std::vector<std::string> words_of_line(std::string_view line) {
  std::vector<std::string> words(1);
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == '\'' && c != '\'')
      words.back() += c;
    else if (c == '\\' && i + 1 < line.size())
      words.back() += line[++i];
    else if (quote != 0 && c == quote)
      quote = 0;
    else if (quote != 0)
      words.back() += c;
    else if (c == '\'' || c == '"')
      quote = c;
    else if (c != ' ' && c != '\t')
      words.back() += c;
    else if (!words.back().empty())
      words.emplace_back();
  }
  return words;
}

}  // namespace locald::cli
