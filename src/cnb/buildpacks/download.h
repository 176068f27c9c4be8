#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "oci/registry/url.h"

namespace locald::cnb {

/// A file from a web server.
struct Download {
  oci::Url url;
  std::string etag;  ///< of an earlier download: then it is only asked whether that still counts
  std::uint64_t max_bytes = 1ull << 30;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};  ///< total 0: unknown
};
struct Downloaded {
  bool not_modified = false;  ///< nothing was written: what has Download::etag still counts
  std::string etag;           ///< as the server gave it; may be empty
};

/// Writes what a GET answers to the empty file `fd`. https, and http on this machine; redirects
/// are followed where a registry's would be (oci/registry/url.h), broken connections and 429 and 5xx tried
/// again, three times in all. No credentials are sent. Blocking: for a worker.
/// @return Errc::not_found (404, 410), denied, timed_out, no_space; Errc::invalid_input where
///         more than `max_bytes` come.
Result<Downloaded> download(const Download& what, int fd);

/// How an address is shown: what follows a "?" may be a secret.
std::string without_query(const oci::Url& url);

}  // namespace locald::cnb
