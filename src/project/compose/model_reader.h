#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "project/compose/decode.h"
#include "project/compose/report.h"
#include "project/compose/request.h"
#include "project/yaml/yaml.h"

namespace locald::project::compose {

/// Reads compose files and what they name, `include` and `extends`, and merges them to one model in
/// long forms with absolute paths. Problems go to the report, with which the model is of no use.
class ModelReader {
 public:
  /// @param home  What `~` stands for; empty: for itself.
  ModelReader(const FileAccess& access, std::string home, Report& report);

  /// The last `name:` in `files`, its variables replaced; "" where there is none. Files that are
  /// not YAML have none: read() tells of them.
  std::string written_name(const std::vector<std::string>& files, const Environment& environment);
  /// @param dir  The folder that relative paths start at.
  Node read(const std::vector<std::string>& files, const std::string& dir,
            const Environment& environment);
  const Respelled& respelled() const noexcept { return respelled_; }

 private:
  /// In what a file is read.
  struct Scope {
    const std::string& dir;
    const Environment& environment;
    bool extended = false;  ///< it is the file of an `extends`: of it, one service is taken
  };
  /// A file that an `extends` names.
  struct Extended {
    Node services;
    std::vector<YamlMark> marks;
  };
  /// Where a service is extended: its siblings, their file and the marks in it.
  struct Siblings {
    Node& services;
    const std::string& file;
    const std::vector<YamlMark>& marks;
  };

  bool parse(const std::string& path, std::vector<YamlDocument>& out);
  /// Whether all files together, with what services have from others, stay within bounds.
  bool count(const Node& value, const std::string& path);
  Node read_model(const std::vector<std::string>& files, const Scope& scope);
  bool read_file(const std::string& path, const Scope& scope, Node& model,
                 std::vector<YamlMark>* marks);
  bool add_document(YamlDocument& document, const std::string& path, const Scope& scope,
                    Node& model);

  bool replace_variables(Node& value, const std::string& where, const Environment& environment);

  bool include_all(Node& root, const Scope& scope, const std::vector<YamlMark>& marks);
  bool include_one(const Node& entry, Node& root, const Scope& scope,
                   const std::vector<YamlMark>& marks);

  bool extend_all(Node& root, const std::string& path, const Scope& scope,
                  const std::vector<YamlMark>& marks);
  bool extend(const std::string& name, const Siblings& siblings, const Scope& scope);
  std::shared_ptr<Extended> extended_file(const Node& at, const std::string& path,
                                          const Scope& scope);

  const FileAccess& access_;
  std::string home_;
  Report& report_;
  Respelled respelled_;
  std::set<std::string> told_;        ///< variables without a value
  std::size_t expanded_ = 0;          ///< bytes of all values with variables
  std::size_t files_ = 0;             ///< that have been read
  std::size_t nodes_ = 0;             ///< that have been made
  std::vector<std::string> open_;     ///< files that are being read, an include in its includer
  std::vector<std::string> extends_;  ///< services that are being extended, for cycles
  std::map<std::string, std::shared_ptr<Extended>> extended_;
};

}  // namespace locald::project::compose
