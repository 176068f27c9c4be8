#include "server/api/runc_holes.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <span>
#include <tuple>
#include <utility>

#include "base/result.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "oci/archive/decompress.h"

namespace locald::server {
namespace {

constexpr std::uint64_t kMaxStatus = 64u << 20;    // dpkg's: some 5 MB on a desktop
constexpr std::uint64_t kMaxChangelog = 4u << 20;  // Debian's of runc: 20 KB

/// A file's bytes, once.
class Text final : public oci::ByteSource {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {}
  Result<std::span<const std::byte>> read() override {
    if (std::exchange(read_, true)) return std::span<const std::byte>();
    return std::as_bytes(std::span(text_));
  }

 private:
  std::string text_;
  bool read_ = false;
};

Result<std::string> read_gzip(const std::string& path) {
  Text packed(TRY(read_file(path, kMaxChangelog)));
  oci::Decompressor inflated(packed, "", oci::LayerLimits{});
  std::string out;
  while (true) {
    const auto part = TRY(inflated.read());
    if (part.empty() || out.size() > kMaxChangelog) return out;
    out.append(reinterpret_cast<const char*>(part.data()), part.size());
  }
}

/// What dpkg-query says, or nothing where it is not there or fails.
std::optional<std::string> dpkg(const std::string& sysroot, std::vector<std::string> words,
                                const std::stop_token& stop) {
  SpawnOptions options;
  options.argv = {"/usr/bin/dpkg-query"};
  if (!sysroot.empty()) options.argv.push_back("--root=" + sysroot);
  options.argv.insert(options.argv.end(), words.begin(), words.end());
  options.env = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
  const auto output = run_program(options, std::chrono::seconds(5), 4096, stop);
  if (!output || !output->exit.ok()) return std::nullopt;
  return std::string(trim(output->out));
}

/// The package that a file came with: "runc: /usr/sbin/runc".
std::optional<std::string> owner_of(const std::string& sysroot, const std::string& file,
                                    const std::stop_token& stop) {
  const auto line = dpkg(sysroot, {"--search", file}, stop);
  if (!line) return std::nullopt;
  const std::string name = line->substr(0, line->find_first_of(":, "));  // "runc:amd64: …"
  return name.empty() ? std::nullopt : std::optional(name);
}

/// What packages whose changelog is not there are known to have fixed, by the beginning of their
/// version.
constexpr std::pair<const char*, const char*> kKnownFixes[] = {
    {"1.1.5+ds1-1+deb12u", "CVE-2024-21626"},  // DSA-5615
};

}  // namespace

std::vector<std::string> runc_holes(const std::string& version) {
  int major = 0, minor = 0, patch = 0;
  if (std::sscanf(version.c_str(), "%d.%d.%d", &major, &minor, &patch) != 3) return {};
  struct Hole {
    const char* id;
    // Fixed in, per branch (runc's CHANGELOG); {1, x, 0} of the newest branch covers all later
    // ones.
    std::array<std::tuple<int, int, int>, 3> fixed;
  };
  const Hole holes[] = {
      {"CVE-2024-21626", {{{1, 1, 12}, {1, 2, 0}, {1, 2, 0}}}},
      {"CVE-2024-45310", {{{1, 1, 14}, {1, 2, 0}, {1, 2, 0}}}},
      {"CVE-2025-31133", {{{1, 2, 8}, {1, 3, 3}, {1, 4, 0}}}},
      {"CVE-2025-52565", {{{1, 2, 8}, {1, 3, 3}, {1, 4, 0}}}},
      {"CVE-2025-52881", {{{1, 2, 8}, {1, 3, 3}, {1, 4, 0}}}},
      {"CVE-2026-41579", {{{1, 3, 6}, {1, 4, 3}, {1, 5, 0}}}},
  };
  const std::tuple own(major, minor, patch);
  std::vector<std::string> found;
  for (const Hole& hole : holes) {
    bool fixed = own >= hole.fixed.back();
    for (const auto& in : hole.fixed)
      if (std::get<0>(in) == major && std::get<1>(in) == minor && own >= in) fixed = true;
    if (!fixed) found.emplace_back(hole.id);
  }
  return found;
}

bool changelog_fixes(const std::string& changelog, const std::string& hole) {
  for (std::string line : split(changelog, '\n')) {
    if (line.find(hole) == std::string::npos) continue;
    std::transform(line.begin(), line.end(), line.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return line.find("revert") == std::string::npos && line.find("not fixed") == std::string::npos;
  }
  return false;
}

std::optional<RuncPackage> runc_package(const std::string& sysroot, const std::string& program,
                                        const std::vector<std::string>& holes,
                                        const std::stop_token& stop) {
  // /sbin is a link to /usr/sbin, and dpkg knows the file by one of its names.
  auto name = owner_of(sysroot, program, stop);
  if (!name) name = owner_of(sysroot, "/usr" + program, stop);
  if (!name) return std::nullopt;
  const auto version = dpkg(sysroot, {"--show", "--showformat=${Version}", *name}, stop);
  if (!version || version->empty()) return std::nullopt;
  RuncPackage package{*version, {}};
  const auto changelog = read_gzip(sysroot + "/usr/share/doc/" + *name + "/changelog.Debian.gz");
  for (const std::string& hole : holes) {
    bool fixed = changelog && changelog_fixes(*changelog, hole);
    if (!changelog)
      for (const auto& [prefix, id] : kKnownFixes)
        fixed = fixed || (version->starts_with(prefix) && hole == id);
    if (fixed) package.fixed.push_back(hole);
  }
  return package;
}

}  // namespace locald::server
