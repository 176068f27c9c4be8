#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::oci {

/// Where the files in a tar are, so that they can be read in any order, in
/// place. For archives of images, whose few hundred members have short names;
/// layers go through the layer reader.
class TarIndex {
 public:
  struct Member {
    std::uint64_t offset = 0;  ///< of the content
    std::uint64_t size = 0;
    std::string link;  ///< target, where the member is a symlink or hard link
  };

  /// Reads all headers of the tar in `fd` (borrowed). @return Errc::unsupported when it is
  /// compressed; Errc::corrupt for a bad checksum, a size past the end of the file, more than
  /// 100,000 members.
  static Result<TarIndex> scan(int fd);

  /// The regular file `name` ("./" or "/" in front does not matter), links followed
  /// inside the archive. nullptr if there is none.
  const Member* find(const std::string& name) const;

 private:
  std::map<std::string, Member> members_;
};

}  // namespace locald::oci
