#include "cnb/inputs/platform_dir.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::cnb {
namespace {

constexpr std::size_t kMaxFile = 1u << 20;
constexpr std::size_t kMaxCertificates = 16u << 20;
constexpr const char* kOwnCertificates = "/usr/local/share/ca-certificates";

/// Where distributions keep all certificates in one file.
constexpr const char* kBundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                    "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                    "/etc/ssl/cert.pem"};

bool file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

bool host_has_own_certificates() {
  const auto dir = sys::open(kOwnCertificates, O_RDONLY | O_DIRECTORY);
  bool found = false;
  if (dir)
    (void)list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
      found = found || name.ends_with(".crt");
      return {};
    });
  return found;
}

/// The folder at `path`, made with the modes of what everybody may read, whatever the umask.
Result<UniqueFd> make_folder(const std::string& path) {
  UniqueFd dir = TRY(make_dirs(path, 0755));
  if (::fchmod(dir.get(), 0755) != 0) return Error::from_errno(errno, "chmod " + path);
  return dir;
}

Result<void> put(int dir, const std::string& name, const std::string& content) {
  const UniqueFd file = TRY(sys::openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
  if (::fchmod(file.get(), 0644) != 0) return Error::from_errno(errno, "chmod " + name);
  return sys::write_all(file.get(), content);
}

}  // namespace

Result<Binding> read_binding(const std::string& name, const std::string& folder,
                             const PathJudge& judge) {
  const std::string where = "binding \"" + name + "\"";
  if (!file_name(name)) return Error(Errc::invalid_input, where + ": not a valid folder name");
  Binding binding{name, {}};
  const auto read = [&]() -> Result<void> {
    const JudgedPath opened = TRY(judge.open(folder, PathJudge::Use::look));
    const UniqueFd dir = TRY(opened.reopen(O_RDONLY | O_DIRECTORY));
    return list_dir(dir.get(), [&](const std::string& file, unsigned char) -> Result<void> {
      if (file.starts_with('.')) return {};
      // By its whole path: a symlink in it is judged, and so is what it leads to.
      const JudgedPath found = TRY(judge.open(opened.path + "/" + file, PathJudge::Use::look));
      if (S_ISREG(found.st.st_mode)) binding.files[file] = TRY(found.read(kMaxFile));
      return {};
    });
  };
  TRY(read().context(where));
  const auto type = binding.files.find("type");
  if (type == binding.files.end() || trim(type->second).empty())
    return Error(Errc::invalid_input, where + ": " + folder + " has no file `type`")
        .with_hint("write what it is for: echo ca-certificates > " + shell_quote(folder + "/type"));
  return binding;
}

Result<std::optional<Binding>> host_ca_binding(const AppSpec& app) {
  const bool asked = app.host_ca.value_or(false);
  if (app.host_ca && !asked) return std::optional<Binding>();
  if (!asked && app.host_ca_file.empty() && !host_has_own_certificates())
    return std::optional<Binding>();
  std::string file = app.host_ca_file;
  if (file.empty()) {
    const auto* found = std::find_if(std::begin(kBundles), std::end(kBundles),
                                     [](const char* path) { return exists(path); });
    if (found == std::end(kBundles)) {
      if (!asked) return std::optional<Binding>();
      return Error(Errc::not_found, "the host's certificates were not found")
          .with_hint("name their file: SSL_CERT_FILE=…");
    }
    file = *found;
  }
  return std::optional(Binding{
      "locald-host-ca",
      {{"type", "ca-certificates"},
       {"provider", "locald"},
       {"ca-certificates.crt",
        TRY(read_file(file, kMaxCertificates).context("the host's certificates " + file))}}});
}

Result<void> write_platform_dir(const std::string& dir,
                                const std::map<std::string, std::string>& env,
                                const std::vector<Binding>& bindings) {
  const auto write = [&]() -> Result<void> {
    TRY(make_folder(dir));
    const UniqueFd variables = TRY(make_folder(dir + "/env"));
    for (const auto& [name, value] : env) {
      if (!file_name(name))
        return Error(Errc::invalid_input, "\"" + name + "\" cannot be a variable of a build");
      TRY(put(variables.get(), name, value));
    }
    TRY(make_folder(dir + "/bindings"));
    for (const Binding& binding : bindings) {
      const UniqueFd folder = TRY(make_folder(dir + "/bindings/" + binding.name));
      for (const auto& [name, content] : binding.files) TRY(put(folder.get(), name, content));
    }
    return {};
  };
  return write().context("write the build's environment");
}

}  // namespace locald::cnb
