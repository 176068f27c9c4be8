#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "cnb/buildpacks/buildpack_jobs.h"
#include "cnb/buildpacks/buildpack_store.h"
#include "cnb/inputs/project_descriptor.h"
#include "oci/registry/url.h"
#include "oci/store/image_store.h"
#include "oci/transfer/pull.h"

namespace locald::cnb {

/// Makes buildpacks that a project names present in the BuildpackStore. What is there and as it was
/// is found without a worker. Blocking; one thread. Several may work at the same time.
class BuildpackSupply {
 public:
  BuildpackSupply(builder::Environment& environment, oci::PullPolicy policy,
                  const builder::PrepareContext& context)
      : environment_(environment),
        store_(environment.paths()),
        policy_(policy),
        context_(context) {}

  /// A folder with a buildpack.toml. Its repository (.git) is not taken along.
  Result<BuildpackStore::Entry> folder(const std::string& path);
  /// A tar of such a folder, or a package (.cnb).
  Result<BuildpackStore::Entry> archive(const std::string& path);
  /// The same from a web server; the policy says whether it is asked for what is there.
  Result<BuildpackStore::Entry> remote(const oci::Url& url);
  /// @param version  "" is 0.0.0, as in pack.
  Result<BuildpackStore::Entry> script(const std::string& id, const std::string& version,
                                       const InlineScript& script);
  /// An entry without a buildpack, on top of which those of `modules` that lie below are not seen.
  Result<BuildpackStore::Entry> hide(const std::vector<Module>& modules);

 private:
  template <class J>
  Result<BuildpackResult> run(J job, int file = -1);
  Result<std::string> id_map();
  Result<BuildpackStore::Entry> made(const std::string& key);
  std::optional<BuildpackStore::Entry> present(const std::string& key) const;

  builder::Environment& environment_;
  BuildpackStore store_;
  oci::PullPolicy policy_;
  const builder::PrepareContext& context_;
};

}  // namespace locald::cnb
