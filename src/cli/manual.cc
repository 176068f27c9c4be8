#include "cli/manual.h"

#include <algorithm>

#include "base/strings.h"
#include "cli/overview.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

/// "image pull" as "locald-image-pull".
std::string page_name(std::string_view verb) {
  std::string name = "locald-" + std::string(verb);
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

std::string head(const std::string& name, const std::string& version, std::string_view summary) {
  return ".TH " + upper(roff(name)) + " 1 \"\" \"locald " + version + "\" \"locald\"\n.SH NAME\n" +
         roff(name) + " \\- " + roff(summary) + "\n";
}

/// Without the blank lines at its ends; the first line keeps its indentation.
std::string_view trim_lines(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

/// Paragraphs are filled; what is indented (examples, tables) stays as it is.
std::string paragraphs(std::string_view text) {
  std::string out;
  enum class In : std::uint8_t { nothing, prose, example } in = In::nothing;
  const auto enter = [&](In next) {
    if (in == next) return;
    if (in == In::example) out += ".EE\n";
    if (next == In::prose) out += ".PP\n";
    if (next == In::example) out += ".PP\n.EX\n";
    in = next;
  };
  for (const std::string& line : split(trim_lines(text), '\n')) {
    if (line.empty())
      enter(In::nothing);
    else
      enter(line.starts_with("  ") ? In::example : In::prose), out += roff(line) + "\n";
  }
  enter(In::nothing);
  return out;
}

std::string option_rows(const Verb& verb) {
  std::string out;
  for (const Option& o : verb.options) {
    out += ".TP\n";
    if (o.letter != 0) out += "\\fB" + roff(std::string("-") + o.letter) + "\\fR, ";
    out += "\\fB" + roff(std::string("--") + o.name) + "\\fR";
    if (o.value != nullptr) out += " \\fI" + roff(o.value) + "\\fR";
    out += "\n" + roff(o.help) + "\n";
  }
  return out + ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nshow a short text\n";
}

std::string main_page(const std::string& version) {
  std::string out =
      head("locald", version, "runs the services of a locald.toml or a compose file") +
      ".SH SYNOPSIS\n" + roff(kSynopsis) + "\n.SH DESCRIPTION\n" + roff(trim(kPurpose)) +
      "\n.SH VERBS\n";
  for (const VerbGroup& group : verb_groups()) {
    out += ".SS " + roff(group.title) + "\n";
    for (const Verb* verb : group.verbs)
      out += ".TP\n\\fB" + roff(verb->name) + "\\fR\n" + roff(verb->summary) + " (\\fB" +
             roff(page_name(verb->name)) + "\\fR(1))\n";
  }
  return out + ".SH OPTIONS\nBefore the verb:\n" + paragraphs(kGlobalOptions) +
         ".SH ENVIRONMENT\n" + roff(trim(kEnvironment)) + "\n.SH EXIT STATUS\n" +
         roff(trim(kExitCodes)) + "\n";
}

}  // namespace

std::string roff(std::string_view text) {
  std::string out;
  bool begins = true;
  for (const char c : text) {
    if (begins && (c == '.' || c == '\'')) out += "\\&";
    begins = c == '\n';
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (c == '\'')
      out += "\\(aq";
    else if (c == '`')
      out += "\\(ga";
    else if (c == '^')
      out += "\\(ha";
    else if (c == '~')
      out += "\\(ti";
    else
      out += c;
  }
  return out;
}

std::string manual_page(const Verb& verb, const std::string& version) {
  std::string out = head(page_name(verb.name), version, verb.summary) +
                    ".SH SYNOPSIS\n\\fBlocald " + roff(verb.name) + "\\fR";
  if (*verb.usage != 0) out += " " + roff(verb.usage);
  out += "\n";
  if (*verb.details != 0) out += ".SH DESCRIPTION\n" + paragraphs(verb.details);
  return out + ".SH OPTIONS\n" + option_rows(verb) + ".SH SEE ALSO\n\\fBlocald\\fR(1)\n";
}

std::map<std::string, std::string> manual_pages(const std::string& version) {
  std::map<std::string, std::string> pages{{"locald.1", main_page(version)}};
  for (const Verb* verb : all_verbs())
    pages[page_name(verb->name) + ".1"] = manual_page(*verb, version);
  return pages;
}

}  // namespace locald::cli
