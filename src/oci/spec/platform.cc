#include "oci/spec/platform.h"

#include <sys/utsname.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "oci/spec/descriptor.h"

namespace locald::oci {
namespace {

/// What the peers call the same thing by other names.
Platform normal(Platform p) {
  p.os = to_lower(p.os);
  p.architecture = to_lower(p.architecture);
  p.variant = to_lower(p.variant);
  if (p.architecture == "x86_64" || p.architecture == "x86-64") p.architecture = "amd64";
  if (p.architecture == "i386" || p.architecture == "i686") p.architecture = "386";
  if (p.architecture == "aarch64") p.architecture = "arm64";
  if (p.architecture == "armhf") p = {p.os, "arm", "v7"};
  if (p.architecture == "armel") p = {p.os, "arm", "v6"};
  if (p.architecture == "arm64" && (p.variant == "8" || p.variant == "v8")) p.variant = "";
  if (p.architecture == "amd64" && p.variant == "v1") p.variant = "";
  if (p.architecture == "arm" && p.variant.empty()) p.variant = "v7";
  if (p.architecture == "arm" && p.variant.size() == 1) p.variant = "v" + p.variant;
  return p;
}

/// "v3" → 3; `none` without one; 0 for anything else.
int level(const std::string& variant, int none) {
  if (variant.empty()) return none;
  if (variant.size() == 2 && variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9')
    return variant[1] - '0';
  return 0;
}

std::string host_amd64_variant() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return "v4";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
      __builtin_cpu_supports("fma"))
    return "v3";
  if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt")) return "v2";
#endif
  return "";
}

}  // namespace

Platform Platform::host() {
  utsname name{};
  ::uname(&name);
  const std::string machine = name.machine;
  if (machine == "x86_64") return {"linux", "amd64", host_amd64_variant()};
  if (machine == "aarch64") return {"linux", "arm64", ""};
  if (machine == "armv7l") return {"linux", "arm", "v7"};
  if (machine == "armv6l") return {"linux", "arm", "v6"};
  return normal({"linux", machine, ""});
}

Result<Platform> Platform::from_json(const Json& object) {
  return Platform{TRY(object.get_string_or("os", "")),
                  TRY(object.get_string_or("architecture", "")),
                  TRY(object.get_string_or("variant", ""))};
}

Json Platform::to_json() const {
  Json out = Json::object({{"architecture", architecture}, {"os", os}});
  if (!variant.empty()) out.set("variant", variant);
  return out;
}

std::string Platform::str() const {
  return (os.empty() ? "unknown" : os) + "/" + (architecture.empty() ? "unknown" : architecture) +
         (variant.empty() ? "" : "/" + variant);
}

int platform_score(const Platform& raw_image, const Platform& raw_host) {
  const Platform image = normal(raw_image);
  const Platform host = normal(raw_host);
  if (image.os != host.os || image.architecture != host.architecture) return 0;
  if (image.architecture == "arm" || image.architecture == "amd64") {
    const int none = image.architecture == "arm" ? 7 : 1;
    const int wanted = level(image.variant, none);
    const int have = level(host.variant, none);
    return wanted == 0 || wanted > have ? 0 : wanted;
  }
  if (image.variant == host.variant) return 2;
  return image.variant.empty() ? 1 : 0;
}

Result<Descriptor> choose_platform(const std::vector<Descriptor>& manifests, const Platform& host) {
  const Descriptor* best = nullptr;
  const Descriptor* unnamed = nullptr;
  int best_score = 0;
  unsigned unnamed_count = 0;
  std::vector<std::string> there;
  std::set<std::string> seen;
  for (const Descriptor& entry : manifests) {
    if (!entry.platform || (entry.platform->os.empty() && entry.platform->architecture.empty())) {
      unnamed = &entry;
      ++unnamed_count;
      continue;
    }
    if (entry.platform->os == "unknown") continue;  // BuildKit's attestations
    if (seen.insert(entry.platform->str()).second) there.push_back(entry.platform->str());
    if (const int score = platform_score(*entry.platform, host); score > best_score) {
      best = &entry;
      best_score = score;
    }
  }
  if (best != nullptr) return *best;
  // One image and no word about its platform: its config will tell.
  if (there.empty() && unnamed_count == 1) return *unnamed;
  const std::string what = there.empty() ? "nothing that names a platform" : join(there, ", ");
  return Error(Errc::unsupported, "there is no image for " + host.os + "/" + host.architecture +
                                      ", this host; there is " + what)
      .with_hint("choose a tag that is built for " + host.architecture +
                 ", or build the image for it");
}

}  // namespace locald::oci
