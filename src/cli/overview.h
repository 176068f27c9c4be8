#pragma once
#include <string>

namespace locald::cli {

/// What `locald --help` and the page locald(1) say in the same words.
inline constexpr char kSynopsis[] = "locald [-C DIR] [-f FILE] [-p NAME] VERB …";
inline constexpr char kPurpose[] =
    "Runs the services of a locald.toml or a compose file: host processes, OCI images\n"
    "and buildpack apps, without Docker and without root.\n";
inline constexpr char kGlobalOptions[] =
    "  -C DIR      work in DIR: the project's file is looked for there and upward\n"
    "  -f FILE     the project file itself\n"
    "  -p NAME     the project's name instead of the file's (also LOCALD_PROJECT)\n"
    "  --version   print the version\n"
    "  -h, --help  show this text; `locald VERB --help` says more\n";
inline constexpr char kEnvironment[] =
    "LOCALD_HOME=DIR keeps everything under DIR. NO_COLOR turns colours off.\n";
inline constexpr char kExitCodes[] =
    "Exit codes: 0; 1 failure; 2 usage; exec, run and container run: the process's\n"
    "own, 125 if locald failed, 126 not executable, 127 not found, 128+n ended by\n"
    "signal n.\n";

/// The text of `locald --help`.
std::string overview();

}  // namespace locald::cli
