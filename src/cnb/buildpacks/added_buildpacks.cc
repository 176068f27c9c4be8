#include "cnb/buildpacks/added_buildpacks.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "builder/image_source.h"
#include "cnb/app.h"
#include "cnb/buildpacks/buildpack_supply.h"
#include "cnb/buildpacks/buildpack_toml.h"
#include "cnb/buildpacks/download.h"
#include "oci/layer/layer_store.h"
#include "oci/spec/platform.h"

namespace locald::cnb {
namespace {

/// As a user wrote it, more or less: for messages and notices.
struct Describe {
  std::string operator()(const LocalPath& u) const { return u.path; }
  std::string operator()(const ImageName& u) const { return u.reference.familiar(); }
  std::string operator()(const RemoteArchive& u) const { return without_query(u.url); }
  std::string operator()(const RegistryId& u) const {
    return "urn:cnb:registry:" + u.name_space + "/" + u.name +
           (u.version.empty() ? "" : "@" + u.version);
  }
  std::string operator()(const BuilderModule& u) const {
    return u.id + (u.version.empty() ? "" : "@" + u.version);
  }
  std::string operator()(const BuilderOrder&) const { return "from=builder"; }
  std::string operator()(const BareName& u) const { return u.text; }
};

Error from_registry(const std::string& what) {
  return Error(Errc::unsupported, what + ": the buildpack registry is not supported")
      .with_hint(
          "an entry there stands for an image, which its page names: "
          "uri = \"docker://HOST/NAME@sha256:…\"");
}

class Adder {
 public:
  Adder(builder::Environment& environment, const std::string& file, const BuildContext& build,
        oci::PullPolicy policy, const builder::PrepareContext& context)
      : environment_(environment),
        file_(file),
        folder_(file.substr(0, file.rfind('/'))),
        build_(build),
        policy_(policy),
        context_(context),
        supply_(environment, policy, context) {}

  Result<AddedBuildpacks> run(const ProjectDescriptor& project) {
    const auto groups = wanted(project.groups), pre = wanted(project.pre),
               post = wanted(project.post);
    if (!project.groups.empty() && groups.empty())
      out_.notices.push_back(
          file_ + ": no buildpack of the group is for the execution environment " +
          (build_.app.exec_env.empty() ? std::string(kDefaultExecEnv) : build_.app.exec_env) +
          ", so the builder's order stands");
    if (groups.empty() && pre.empty() && post.empty()) return std::move(out_);
    builder_ = TRY(ImageModules::of_builder(build_.builder.config)
                       .context("the builder " + build_.builder_name));
    modules_ = builder_.modules;
    Order order;
    if (!groups.empty()) {
      const auto members = TRY(look_up(groups));
      const bool with_builder = std::any_of(members.begin(), members.end(), [](const auto& m) {
        return std::holds_alternative<BuilderOrder>(m);
      });
      if (with_builder) TRY(check_builder_has_order());
      order = order_of_group(members, builder_.order);
    } else {
      TRY(check_builder_has_order());
      const auto before = TRY(entries(pre)), after = TRY(entries(post));
      order = order_between(before, builder_.order, after);
    }
    out_.order = TRY(complete(std::move(order), modules_).context(file_));
    std::reverse(out_.lowers.begin(), out_.lowers.end());
    return std::move(out_);
  }

 private:
  std::vector<const BuildpackEntry*> wanted(const std::vector<BuildpackEntry>& all) const {
    std::vector<const BuildpackEntry*> out;
    for (const BuildpackEntry& entry : all)
      if (is_for(entry.exec_env, build_.app.exec_env)) out.push_back(&entry);
    return out;
  }

  Result<void> check_builder_has_order() const {
    if (!builder_.order.empty()) return {};
    return Error(Errc::invalid_input, "the builder " + build_.builder_name +
                                          " does not say in its labels in which order it tries "
                                          "its buildpacks")
        .with_hint("name all of them in the project.toml, without from=builder, pre and post");
  }

  Result<std::vector<GroupMember>> look_up(const std::vector<const BuildpackEntry*>& all) {
    std::vector<GroupMember> members;
    for (const BuildpackEntry* entry : all) {
      const SourcePos at = entry->uri ? entry->uri_at : entry->at;
      std::string where = place(file_, at);
      where.resize(where.size() - 2);  // ": " comes with the context
      members.push_back(TRY(member(*entry, where).context(where)));
    }
    return members;
  }

  Result<std::vector<OrderEntry>> entries(const std::vector<const BuildpackEntry*>& all) {
    std::vector<OrderEntry> out;
    for (GroupMember& m : TRY(look_up(all))) out.push_back(std::get<OrderEntry>(std::move(m)));
    return out;
  }

  Result<GroupMember> member(const BuildpackEntry& entry, const std::string& where) {
    if (entry.script) {
      TRY(check_api("the script " + entry.id, entry.script->api));
      const auto made = TRY(supply_.script(entry.id, entry.version, *entry.script));
      TRY(add(made, "the script " + entry.id));
      return GroupMember(main_of(made));
    }
    if (!entry.uri) return GroupMember(TRY(of_builder({entry.id, entry.version})));
    if (std::holds_alternative<BuilderOrder>(*entry.uri)) return GroupMember(BuilderOrder{});
    OrderEntry found = TRY(look_up(*entry.uri, folder_, 0));
    if (!entry.id.empty() && entry.id != found.id)
      out_.notices.push_back(where + ": the buildpack calls itself " + found.id + ", not " +
                             entry.id);
    return GroupMember(std::move(found));
  }

  /// @param folder  Where relative paths start.
  /// @param depth   How many package.toml led here.
  Result<OrderEntry> look_up(const BuildpackUri& uri, const std::string& folder, int depth) {
    const std::string name = "the buildpack " + std::visit(Describe(), uri);
    if (const auto* bare = std::get_if<BareName>(&uri)) {
      const auto id = parse_buildpack_id(bare->text);
      const bool in_builder = id && builder_.modules.version_of(id->id, id->version).has_value();
      const BuildpackUri settled =
          TRY(settle(*bare, exists(absolute(bare->text, folder)), in_builder));
      return look_up(settled, folder, depth);
    }
    if (const auto* local = std::get_if<LocalPath>(&uri))
      return of_path(absolute(local->path, folder), name, depth);
    if (const auto* image = std::get_if<ImageName>(&uri))
      return of_image(image->reference, name).context(name);
    if (const auto* remote = std::get_if<RemoteArchive>(&uri)) {
      const auto made = TRY(supply_.remote(remote->url).context(name));
      TRY(add(made, name));
      return main_of(made);
    }
    if (const auto* module = std::get_if<BuilderModule>(&uri)) return of_builder(*module);
    return from_registry(std::visit(Describe(), uri));
  }

  static std::string absolute(const std::string& path, const std::string& folder) {
    return path.starts_with('/') ? path : folder + "/" + path;
  }

  Result<OrderEntry> of_builder(const BuilderModule& wanted) const {
    auto version = builder_.modules.version_of(wanted.id, wanted.version);
    if (version) return OrderEntry{wanted.id, *version};
    Error error = std::move(version).error();
    if (error.code() == Errc::not_found && error.hint().find("did you mean") == std::string::npos)
      error = Error(error.code(), error.message())
                  .with_hint("a buildpack that the builder lacks needs a `uri`; the builder has " +
                             ids_of_builder());
    return std::move(error).with_context("the builder " + build_.builder_name);
  }

  std::string ids_of_builder() const {
    constexpr std::size_t kMost = 20;
    std::set<std::string> ids;
    for (const auto& [key, module] : builder_.modules.all()) ids.insert(module.id);
    std::vector<std::string> list(ids.begin(), ids.end());
    if (list.empty()) return "none in it";
    if (list.size() > kMost) {
      list.resize(kMost);
      list.emplace_back("…");
    }
    return join(list, ", ");
  }

  Result<OrderEntry> of_path(const std::string& path, const std::string& name, int depth) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) {
      Error error = Error::from_errno(errno, name);
      return error.code() == Errc::not_found
                 ? Error(Errc::not_found, name + ": there is no " + path)
                 : error;
    }
    const bool is_folder = S_ISDIR(st.st_mode);
    const auto made = TRY((is_folder ? supply_.folder(path) : supply_.archive(path)).context(name));
    TRY(add(made, name));
    OrderEntry main = main_of(made);
    if (is_folder) TRY(add_parts(path, depth).context(name));
    return main;
  }

  /// What the package.toml of a composite buildpack's folder names.
  Result<void> add_parts(const std::string& folder, int depth) {
    constexpr int kDeepest = 8;
    const std::string file = folder + "/package.toml";
    const auto opened = environment_.judge().open(file, PathJudge::Use::look);
    if (!opened && opened.error().code() == Errc::not_found) return {};
    if (!opened) return opened.error();
    if (!S_ISREG(opened->st.st_mode)) return {};
    if (depth == kDeepest)
      return Error(Errc::invalid_input, file + ": buildpacks made of others, too deep");
    const PackageToml package = TRY(parse_package_toml(TRY(opened->read(kMaxBuildpackToml)), file));
    const std::string base = package.base.empty() ? folder : absolute(package.base, folder);
    for (const PackageToml::Dependency& part : package.dependencies) {
      std::string where = place(file, part.at);
      where.resize(where.size() - 2);
      if (!parts_.insert(base + "\n" + std::visit(Describe(), part.uri)).second) continue;
      TRY(look_up(part.uri, base, depth + 1).context(where));
    }
    return {};
  }

  Result<OrderEntry> of_image(const oci::ImageReference& reference, const std::string& name) {
    builder::PulledImage pulled =
        TRY(builder::pull_image(environment_, reference, policy_, context_));
    out_.notices.insert(out_.notices.end(), pulled.notices.begin(), pulled.notices.end());
    const oci::ImageConfig& config = pulled.image.config;
    if (!config.platform.architecture.empty() &&
        oci::platform_score(config.platform, oci::Platform::host()) == 0)
      return Error(Errc::unsupported, "it is for " + config.platform.str() + ", this host is " +
                                          oci::Platform::host().str());
    const ImageModules package = TRY(ImageModules::of_package(config));
    std::vector<Module> hidden;
    std::set<oci::Digest> layers;
    for (const auto& [key, module] : package.modules.all()) {
      TRY(check_api(module.name(), module.api));
      const oci::Digest& layer = package.layers.at(key);
      const Module* other = modules_.find(module.id, module.version);
      const auto builders = builder_.layers.find(key);
      if (other != nullptr && !other->added && builders != builder_.layers.end() &&
          builders->second == layer)
        continue;  // the builder's is the same
      if (other != nullptr) hidden.push_back(module);
      layers.insert(layer);
    }
    if (!hidden.empty()) push(BuildpackStore::lower(TRY(supply_.hide(hidden)).key));
    for (const oci::LayerKey& key : oci::layer_keys(pulled.image.diff_ids))
      if (layers.erase(key.diff_id) != 0) push(TRY(TRY(environment_.layers())->short_path(key)));
    if (!layers.empty())
      return Error(Errc::invalid_input, "the layer " + layers.begin()->str() +
                                            " that its labels name is not one of its layers");
    for (const auto& [key, module] : package.modules.all()) {
      Module added = module;
      added.added = true;
      modules_.add(std::move(added));
    }
    out_.contents.emplace_back(name, pulled.image.manifest_digest.str());
    return OrderEntry{package.main_id, package.main_version};
  }

  // What has been made.

  static OrderEntry main_of(const BuildpackStore::Entry& made) {
    return {made.modules.front().id, made.modules.front().version};
  }

  Result<void> add(const BuildpackStore::Entry& made, const std::string& name) {
    for (const Module& module : made.modules)
      TRY(check_api(module.name(), module.api).context(name));
    for (const Module& module : made.modules) modules_.add(module);
    out_.contents.emplace_back(name, made.key);
    push(BuildpackStore::lower(made.key));
    return {};
  }
  /// On top of what is there; once, and then at the top, as overlayfs wants it.
  void push(const std::string& lower) {
    std::erase(out_.lowers, lower);
    out_.lowers.push_back(lower);
  }

  Result<void> check_api(const std::string& name, const std::string& api) const {
    const auto wanted = ApiVersion::parse(api);
    const std::vector<std::string>& known = build_.info.buildpack_apis;
    for (const std::string& text : known)
      if (const auto one = ApiVersion::parse(text); wanted && one && *one == *wanted) return {};
    return Error(Errc::unsupported, name + " is for Buildpack API " + (api.empty() ? "0.1" : api) +
                                        "; the lifecycle " + build_.info.lifecycle_version +
                                        " of the builder " + build_.builder_name + " knows " +
                                        join(known, ", "))
        .with_hint("take a builder with another lifecycle, or another version of the buildpack");
  }

  builder::Environment& environment_;
  const std::string& file_;
  std::string folder_;
  const BuildContext& build_;
  oci::PullPolicy policy_;
  const builder::PrepareContext& context_;
  BuildpackSupply supply_;
  ImageModules builder_;
  Modules modules_;  // the builder's and what was added
  std::set<std::string> parts_;
  AddedBuildpacks out_;  // its lowers bottom first until the end
};

}  // namespace

bool is_for(const std::vector<std::string>& environments, std::string_view exec_env) {
  const std::string_view wanted = exec_env.empty() ? kDefaultExecEnv : exec_env;
  return environments.empty() ||
         std::any_of(environments.begin(), environments.end(),
                     [&](const std::string& e) { return e == "*" || e == wanted; });
}

Result<AddedBuildpacks> add_buildpacks(builder::Environment& environment,
                                       const ProjectDescriptor& project, const std::string& file,
                                       const BuildContext& build,
                                       const builder::PrepareContext& context) {
  const auto policy = TRY(oci::parse_pull_policy(build.app.pull));
  return Adder(environment, file, build, policy, context).run(project);
}

}  // namespace locald::cnb
