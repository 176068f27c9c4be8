#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "project/init/folder.h"

namespace locald::project::init {

/// What an app keeps its data in.
enum class Store : std::uint8_t { postgres, mysql, mongo, redis, rabbitmq };

struct Process {
  std::string name;      ///< "web", "worker"; may be none that a service can have
  std::string command;   ///< for a shell, whose `$PORT` is the port
  std::string from;      ///< the file and the place in it
  bool listens = false;  ///< at the port that it is given
  int port = 0;          ///< else: it listens there, whatever it is given; 0: nowhere
  bool once = false;     ///< to its end, before the others
};

/// What one folder of a project was found to hold.
struct Part {
  std::string dir;  ///< relative to the project's; "": that one
  std::vector<Process> processes;
  std::set<Store> stores;
  std::string stores_from;  ///< the files that tell of them
  bool env_file = false;    ///< `.env` is its processes' environment
  /// It is an app that is built from its source. The builder; "": project.toml names one.
  std::optional<std::string> builder;
  std::vector<std::string> files;  ///< that were read
  std::vector<std::string> notes;  ///< what the user has to know: whole sentences
};

// Each adds to `part` what the place tells of it; a place that is not of its kind adds nothing.
void find_procfile(const Place& place, Part& part);
void find_node(const Place& place, Part& part);
void find_python(const Place& place, Part& part);
void find_go(const Place& place, Part& part);
void find_rust(const Place& place, Part& part);
void find_ruby(const Place& place, Part& part);
/// project.toml, Dockerfile, compose files.
void find_builds(const Place& place, Part& part);
/// A folder of pages alone.
void find_pages(const Place& place, Part& part);

// What several of them ask.

/// Notes that `file` is not what its name says, and is passed over.
/// @param why  May begin with its name, and its line.
void pass_over(const std::string& file, const Error& why, Part& part);

/// The port that a command names: `-p 3000`, `--port=3000`, `:3000`; 0: none.
int port_in_command(std::string_view command);
/// The port that source text listens at: `":8080"`, `.listen(3000`, `port=5000`; 0: none is found.
int port_in_source(std::string_view text);
/// Source text that asks the environment for PORT.
bool asks_for_port(std::string_view text);
/// Where a process listens whose source is one of `files` of the place.
void find_port(const Place& place, const std::vector<std::string>& files, Process& process);
/// Whether `word` stands there by itself: letters, digits, `_` and `-` around it are others' names.
bool has_word(std::string_view text, std::string_view word);

}  // namespace locald::project::init
