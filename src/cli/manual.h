#pragma once
#include <map>
#include <string>

#include "cli/args.h"

namespace locald::cli {

/// The manual pages (man(7)), made of the same tables as `--help`: a package has them, the CLI does
/// not need them.

/// locald-VERB(1). @param version  "0.1.0", in the page's footer
std::string manual_page(const Verb& verb, const std::string& version);

/// All pages by their file's name: "locald.1", "locald-up.1", "locald-image-pull.1", …
std::map<std::string, std::string> manual_pages(const std::string& version);

/// `text` as roff shows it letter by letter: no line is taken for a request, no letter for a
/// command.
std::string roff(std::string_view text);

}  // namespace locald::cli
