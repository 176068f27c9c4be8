#include "cnb/lifecycle/exit_codes.h"

#include <optional>

namespace locald::cnb {
namespace {

struct Meaning {
  int code;
  Errc errc;
  const char* what;
  const char* hint;
};

constexpr const char* kRemoveCache =
    "if it keeps failing, remove the app's cache and build again: locald cache ls, locald "
    "cache "
    "rm";

// Only the codes that the phases we run can end with; launch and rebase have their own.
constexpr Meaning kMeanings[] = {
    {3, Errc::failed, "the lifecycle refused its arguments", ""},
    {11, Errc::unsupported, "the builder's lifecycle does not speak the Platform API asked for",
     "the builder's label promises it; pull the builder again, or take another one"},
    {12, Errc::unsupported,
     "the builder's lifecycle does not speak the Buildpack API of one of its buildpacks",
     "pull the builder again, or take another one"},
    {20, Errc::invalid_input, "no group of buildpacks fits this app",
     "the table shows what each buildpack said; is `path` the app's folder, and are its files "
     "(package.json, Procfile, …) sent? A wrong builder, or one without the language, ends here "
     "too"},
    {21, Errc::failed, "no group of buildpacks fits this app, and at least one buildpack failed",
     "the table shows which, and what it said"},
    {22, Errc::failed, "the detection failed", ""},
    {32, Errc::failed, "the analysis failed", kRemoveCache},
    {42, Errc::failed, "the cached layers could not be restored", kRemoveCache},
    {51, Errc::failed, "a buildpack failed to build the app", ""},
    {52, Errc::failed, "the build failed", ""},
    {62, Errc::failed, "the image could not be created from the buildpacks' output", ""},
};

}  // namespace

std::string_view binary_of(Phase phase) noexcept {
  switch (phase) {
    case Phase::analyze:
      return "analyzer";
    case Phase::detect:
      return "detector";
    case Phase::restore:
      return "restorer";
    case Phase::build:
      return "builder";
    case Phase::export_:
      return "exporter";
  }
  return "";
}

std::string_view to_string(Phase phase) noexcept {
  switch (phase) {
    case Phase::analyze:
      return "analyze";
    case Phase::detect:
      return "detect";
    case Phase::restore:
      return "restore";
    case Phase::build:
      return "build";
    case Phase::export_:
      return "export";
  }
  return "";
}

Error explain_exit(Phase phase, int code) {
  const std::string where =
      std::string(to_string(phase)) + " ended with code " + std::to_string(code);
  for (const Meaning& meaning : kMeanings)
    if (meaning.code == code) {
      Error error(meaning.errc, std::string(meaning.what) + " (" + where + ")");
      return *meaning.hint == '\0' ? std::move(error) : std::move(error).with_hint(meaning.hint);
    }
  Error error(Errc::failed, where);
  return phase == Phase::restore ? std::move(error).with_hint(kRemoveCache) : std::move(error);
}

}  // namespace locald::cnb
