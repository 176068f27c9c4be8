#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "oci/ref/digest.h"
#include "oci/spec/platform.h"

namespace locald::oci {

struct HistoryEntry {
  std::string created;
  std::string created_by;
  std::string comment;
  bool empty_layer = false;
};

/// The image's health check (Docker's HEALTHCHECK). Spec: OCI image-spec, config.md, which reserves
/// the member; Docker's image specification v1.3 has it.
struct ImageHealth {
  std::vector<std::string> test;  ///< "CMD", "CMD-SHELL" or "NONE" first; empty: there is none
  std::int64_t interval = 0, timeout = 0, start_period = 0;  ///< ns; 0: the engine's default
  std::int64_t retries = 0;                                  ///< 0: the engine's default
};

/// What an image says about itself. All of it comes from strangers: it never becomes an option of
/// locald. A value. Spec: OCI image-spec, config.md. Docker's config is the same document.
struct ImageConfig {
  Platform platform;
  std::string created;  ///< RFC 3339; may be empty
  std::string author;

  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;  ///< "KEY=value"
  std::string user;              ///< "", "name", "uid", "name:group", …
  std::string working_dir;
  std::string stop_signal;                 ///< "SIGTERM" or a number
  std::vector<std::string> volumes;        ///< paths, sorted
  std::vector<std::string> exposed_ports;  ///< "6379/tcp", sorted
  std::map<std::string, std::string> labels;
  ImageHealth health;

  std::vector<Digest> diff_ids;  ///< base first: digests of the *uncompressed* tars
  std::vector<HistoryEntry> history;

  /// @return Errc::invalid_input: no rootfs, a wrong type, a NUL in a string.
  static Result<ImageConfig> parse(std::string_view bytes);
  /// For images of our own making.
  Json to_json() const;
};

}  // namespace locald::oci
