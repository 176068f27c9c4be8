#include "cli/args.h"

#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "base/strings.h"
#include "base/units.h"

namespace locald::cli {
namespace {

constexpr int kLongOnly = 1000;  // getopt's value for the option with index n is kLongOnly + n
constexpr int kHelp = 999;

Error usage(const Verb& verb, const std::string& message) {
  return Error(Errc::invalid_input, message)
      .with_hint("usage: locald " + std::string(verb.name) + " " + verb.usage + " (more: locald " +
                 verb.name + " --help)");
}

/// What of "[-f] SERVICE [COMMAND…]" must be given: "SERVICE".
std::string required(std::string_view usage) {
  std::string out;
  int optional = 0;
  for (const char c : usage) {
    if (c == '[') ++optional;
    if (optional == 0 && (c != ' ' || (!out.empty() && out.back() != ' '))) out += c;
    if (c == ']') --optional;
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

/// What is wrong with an option that getopt did not know.
Error unknown_option(const Verb& verb, const std::string& word) {
  std::vector<std::string> names;
  for (const Option& o : verb.options) names.push_back(std::string("--") + o.name);
  const std::string name = word.substr(0, word.find('='));
  if (word.starts_with("--"))
    if (const auto near = did_you_mean(name, names))
      return Error(Errc::invalid_input, "unknown option " + name)
          .with_hint("did you mean " + *near + "?");
  if (word == "-p" && verb.name == std::string_view("container run"))
    return Error(Errc::invalid_input, "unknown option -p")
        .with_hint("the network is the host's: what the container listens on is open as it is");
  for (const char* global : {"-C", "-f", "-p"})
    if (word == global)
      return Error(Errc::invalid_input, "unknown option " + word)
          .with_hint("it goes before the verb: locald " + word + " … " + verb.name);
  return usage(verb, "unknown option " + name);
}

}  // namespace

std::optional<std::string> Args::value(const std::string& name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? std::nullopt : std::optional(it->second.back());
}

std::vector<std::string> Args::values(const std::string& name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? std::vector<std::string>() : it->second;
}

std::vector<std::string> Args::rest(std::size_t index) const {
  const auto from =
      arguments_.begin() + static_cast<std::ptrdiff_t>(std::min(index, arguments_.size()));
  return {from, arguments_.end()};
}

Result<Args> Args::parse(const Verb& verb, const std::vector<std::string>& words) {
  std::string letters = verb.verbatim ? "+:h" : ":h";
  std::vector<option> longs{{"help", no_argument, nullptr, kHelp}};
  for (std::size_t i = 0; i < verb.options.size(); ++i) {
    const Option& o = verb.options[i];
    if (o.letter != 0) letters += o.letter;
    if (o.letter != 0 && o.value != nullptr) letters += ':';
    longs.push_back({o.name, o.value != nullptr ? required_argument : no_argument, nullptr,
                     kLongOnly + static_cast<int>(i)});
  }
  longs.push_back({});
  std::vector<char*> argv{const_cast<char*>(verb.name)};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  const int argc = static_cast<int>(argv.size());
  argv.push_back(nullptr);
  Args args;
  ::optind = 0;  // starts getopt afresh
  ::opterr = 0;
  int found = 0;
  while ((found = ::getopt_long(argc, argv.data(), letters.c_str(), longs.data(), nullptr)) != -1) {
    if (found == kHelp || found == 'h') {
      const bool taken =
          found == 'h' && std::any_of(verb.options.begin(), verb.options.end(),
                                      [](const Option& o) { return o.letter == 'h'; });
      if (!taken) {
        args.help_ = true;
        return args;
      }
    }
    if (found == ':') {
      const std::string word = argv[static_cast<std::size_t>(::optind - 1)];
      return usage(verb, "option " + word + " needs a value");
    }
    if (found == '?') {
      const std::string word = argv[static_cast<std::size_t>(::optind - 1)];
      const bool is_long = word.starts_with("--") && ::optopt == 0;
      if (!is_long && ::optopt != 0 && ::optopt < kHelp)
        return unknown_option(verb, std::string("-") + static_cast<char>(::optopt));
      if (::optopt >= kHelp)
        return usage(verb, "option " + word.substr(0, word.find('=')) + " takes no value");
      return unknown_option(verb, word);
    }
    const auto it = std::find_if(verb.options.begin(), verb.options.end(), [&](const Option& o) {
      return found >= kLongOnly ? &o == &verb.options[static_cast<std::size_t>(found - kLongOnly)]
                                : o.letter == found;
    });
    args.values_[it->name].emplace_back(it->value != nullptr ? ::optarg : "");
  }
  for (int i = ::optind; i < argc; ++i) {
    const std::string word = argv[static_cast<std::size_t>(i)];
    if (verb.verbatim && args.arguments_.size() == 1 && i == ::optind + 1 && word == "--") continue;
    args.arguments_.push_back(word);
  }
  if (args.arguments_.size() < verb.min_arguments)
    return usage(verb,
                 (args.arguments_.empty() ? "an argument is missing: " : "too few arguments: ") +
                     required(verb.usage));
  if (args.arguments_.size() > verb.max_arguments)
    return usage(verb, "too many arguments: " + shell_quote(args.arguments_[verb.max_arguments]));
  return args;
}

std::string help_text(const Verb& verb) {
  std::string out =
      "usage: locald " + std::string(verb.name) + " " + verb.usage + "\n\n" + verb.summary + "\n";
  if (*verb.details != 0) out += "\n" + std::string(verb.details);
  if (!out.ends_with('\n')) out += '\n';
  out += "\noptions:\n";
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Option& o : verb.options) {
    std::string left = o.letter != 0 ? std::string("-") + o.letter + ", " : "    ";
    left += std::string("--") + o.name;
    if (o.value != nullptr) left += std::string(" ") + o.value;
    rows.emplace_back(left, o.help);
  }
  rows.emplace_back("-h, --help", "show this text");
  std::size_t width = 0;
  for (const auto& [left, right] : rows) width = std::max(width, left.size());
  for (const auto& [left, right] : rows)
    out += "  " + left + std::string(width - left.size() + 2, ' ') + right + "\n";
  return out;
}

Result<std::int64_t> parse_duration_ms(std::string_view option, std::string_view text) {
  if (const auto seconds = parse_u64(text))
    return static_cast<std::int64_t>(std::min<std::uint64_t>(*seconds, 1u << 30) * 1000);
  const auto duration = parse_duration(text);
  if (duration) return static_cast<std::int64_t>(duration->count());
  return Error(Errc::invalid_input, std::string(option) + ": \"" + std::string(text) +
                                        "\" is not a duration such as 30s, 1m30s or 500ms");
}

namespace {

/// "16:33", "16:33:05": seconds since 1970, of the day that `now` is in. Nullopt: it has another
/// form.
std::optional<std::time_t> clock_time(const std::string& text, std::time_t now, bool past) {
  int hour = 0, minute = 0, second = 0, used = 0;
  const auto whole = [&] { return static_cast<std::size_t>(used) == text.size(); };
  const bool brief = std::sscanf(text.c_str(), "%2d:%2d%n", &hour, &minute, &used) == 2 && whole();
  if (!brief &&
      !(std::sscanf(text.c_str(), "%2d:%2d:%2d%n", &hour, &minute, &second, &used) == 3 && whole()))
    return std::nullopt;
  if (text[0] == '-' || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return std::nullopt;
  const auto of_day = [&](int days_before) {
    std::tm tm{};
    ::localtime_r(&now, &tm);
    tm.tm_hour = hour;
    tm.tm_min = minute;
    tm.tm_sec = second;
    tm.tm_mday -= days_before;
    tm.tm_isdst = -1;
    return std::mktime(&tm);
  };
  const std::time_t today = of_day(0);
  return past && today > now ? of_day(1) : today;
}

}  // namespace

Result<std::uint64_t> parse_since_ns(std::string_view text, std::uint64_t now_ns,
                                     const std::string& option) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  if (const auto seconds = parse_u64(text); seconds && text.size() >= 9) return *seconds * kSecond;
  const std::string copy(text);
  if (const auto time = clock_time(copy, static_cast<std::time_t>(now_ns / kSecond),
                                   /*past=*/option == "--since"))
    return static_cast<std::uint64_t>(std::max<std::time_t>(*time, 0)) * kSecond;
  std::tm tm{};
  int used = 0;
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &used) ==
      3) {
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    std::string_view rest = std::string_view(copy).substr(static_cast<std::size_t>(used));
    int time_used = 0;
    if (rest.starts_with('T') || rest.starts_with(' ') || rest.starts_with('t')) {
      if (std::sscanf(std::string(rest.substr(1)).c_str(), "%2d:%2d:%2d%n", &tm.tm_hour, &tm.tm_min,
                      &tm.tm_sec, &time_used) < 3)
        return Error(Errc::invalid_input,
                     option + ": \"" + copy + "\" is not a time such as 2026-01-31T10:00:00Z");
      rest.remove_prefix(1 + static_cast<std::size_t>(time_used));
    }
    std::uint64_t fraction = 0;
    if (rest.starts_with('.')) {
      std::string digits(
          rest.substr(1, std::min(rest.find_first_not_of("0123456789", 1), rest.size()) - 1));
      rest.remove_prefix(digits.size() + 1);
      digits.resize(9, '0');
      fraction = parse_u64(digits).value_or(0);
    }
    int hours = 0, minutes = 0;
    char sign = 0;
    std::time_t seconds = 0;
    if (rest == "Z" || rest == "z") {
      seconds = ::timegm(&tm);
    } else if (std::sscanf(std::string(rest).c_str(), "%c%2d:%2d", &sign, &hours, &minutes) == 3 &&
               (sign == '+' || sign == '-')) {
      seconds = ::timegm(&tm) - (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
    } else if (rest.empty()) {
      tm.tm_isdst = -1;
      seconds = std::mktime(&tm);  // no zone: the local one
    } else {
      return Error(Errc::invalid_input, option + ": \"" + copy + "\" has an unknown time zone");
    }
    return static_cast<std::uint64_t>(std::max<std::time_t>(seconds, 0)) * kSecond + fraction;
  }
  const auto ms = static_cast<std::uint64_t>(TRY(parse_duration_ms(option, text)));
  return now_ns - std::min(now_ns, ms * 1'000'000);
}

}  // namespace locald::cli
