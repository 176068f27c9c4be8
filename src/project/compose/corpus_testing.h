#pragma once
#include <stdlib.h>  // NOLINT: mkdtemp

#include <filesystem>
#include <string>
#include <vector>

#include "base/source_dir.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "project/compose/request.h"

/// Files of known products and of the reference loader's own tests, with what that loader says of
/// each (oracle.tsv) and what it makes of those that it accepts (canonical.json). They are taken
/// from LOCALD_COMPOSE_CORPUS (a folder or the .tar.zst), or from a folder of shared fixtures beside
/// the clone, where there is one.
namespace locald::project::compose {

class Corpus {
 public:
  Corpus() {
    const char* const given = ::getenv("LOCALD_COMPOSE_CORPUS");
    const std::filesystem::path path =
        given != nullptr ? std::filesystem::path(given)
                         : std::filesystem::path(LOCALD_SOURCE_DIR).parent_path() /
                               "shared/fixtures/compose-corpus.tar.zst";
    if (!std::filesystem::exists(path)) return;
    if (std::filesystem::is_directory(path)) {
      folder_ = path;
    } else {
      std::string made =
          (std::filesystem::temp_directory_path() / "compose-corpus-XXXXXX").string();
      if (::mkdtemp(made.data()) == nullptr) return;
      unpacked_ = made;
      SpawnOptions tar;
      const std::string search = "/usr/bin:/bin";
      tar.argv = {
          find_program("tar", search).value_or("tar"), "--zstd", "-xf", path.string(), "-C", made};
      tar.env = {"PATH=" + search};
      const auto run = run_program(std::move(tar), std::chrono::minutes(1));
      if (run) folder_ = made;
    }
    if (std::filesystem::exists(folder_ / "corpus")) folder_ /= "corpus";
  }
  Corpus(const Corpus&) = delete;
  Corpus& operator=(const Corpus&) = delete;
  ~Corpus() {
    if (!unpacked_.empty()) (void)remove_tree(unpacked_.string());
  }
  bool there() const { return std::filesystem::exists(folder_ / "oracle.tsv"); }
  const std::filesystem::path& folder() const { return folder_; }

  /// The files as the reference saw them: below /corpus.
  FileAccess access() const {
    const FileAccess disk = disk_files();
    const auto real = [root = folder_.string()](const std::string& path) {
      return path.starts_with("/corpus/") ? root + path.substr(7) : "/nonexistent" + path;
    };
    return {[=](const std::string& path) { return disk.kind(real(path)); },
            [=](const std::string& path) { return disk.read(real(path)); }};
  }

 private:
  std::filesystem::path folder_, unpacked_;
};

/// What the reference says of one.
struct CorpusRow {
  std::string name;
  bool accepted = false;
  std::string message;
};

inline std::vector<CorpusRow> rows(const Corpus& corpus) {
  std::vector<CorpusRow> out;
  const auto text = read_file((corpus.folder() / "oracle.tsv").string());
  for (const std::string& line : split(text.value(), '\n')) {
    const std::vector<std::string> columns = split(line, '\t');
    if (columns.size() < 7 || columns[0] == "name") continue;
    out.push_back({columns[0], columns[5] == "OK", columns[6]});
  }
  return out;
}

}  // namespace locald::project::compose
