#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/json/json.h"
#include "base/sys/fs_at.h"
#include "oci/ref/digest.h"
#include "oci/spec/media_type.h"
#include "oci/spec/platform.h"

/// Images made by hand, for tests.
namespace locald::oci::test {

/// One ustar member: a regular file, or a folder where `name` ends in "/".
inline std::string member(const std::string& name, const std::string& content, char type = '\0',
                          const std::string& link = {}) {
  std::string block(512, '\0');
  auto put = [&block](std::size_t at, const std::string& text) {
    block.replace(at, text.size(), text);
  };
  auto octal = [](std::uint64_t value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
    return std::string(text);
  };
  const bool folder = !name.empty() && name.back() == '/';
  put(0, name);
  put(100, octal(folder ? 0755 : 0644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(content.size(), 11));
  put(136, octal(1700000000, 11));
  put(148, "        ");
  block[156] = type != '\0' ? type : folder ? '5' : '0';
  put(157, link);
  put(257, std::string("ustar\0"
                       "00",
                       8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6) + std::string("\0 ", 2));
  std::string out = block + content;
  out.resize((out.size() + 511) / 512 * 512, '\0');
  return out;
}

inline std::string tar(const std::vector<std::string>& members) {
  std::string out;
  for (const std::string& one : members) out += one;
  return out + std::string(1024, '\0');
}

/// An OCI layout in `dir` with one image of these (plain tar) layers. Everything may be bent before
/// write().
struct TestImage {
  std::vector<std::string> layers;
  std::vector<std::string> diff_ids;  ///< made from the layers where empty
  Platform platform = Platform::host();

  std::string config() const {
    Json ids = Json::array();
    for (std::size_t i = 0; i < layers.size(); ++i)
      ids.push(i < diff_ids.size() ? diff_ids[i] : Digest::of(layers[i]).str());
    Json out = platform.to_json();
    out.set("config", Json::object({{"Cmd", Json::array({"sh"})}}));
    out.set("rootfs", Json::object({{"type", "layers"}, {"diff_ids", ids}}));
    return out.dump();
  }
  std::string manifest() const {
    Json list = Json::array();
    for (const std::string& layer : layers)
      list.push(Json::object({{"mediaType", std::string(kOciLayer)},
                              {"digest", Digest::of(layer).str()},
                              {"size", layer.size()}}));
    const std::string text = config();
    return Json::object({{"schemaVersion", 2},
                         {"mediaType", std::string(kOciManifest)},
                         {"config", Json::object({{"mediaType", std::string(kOciConfig)},
                                                  {"digest", Digest::of(text).str()},
                                                  {"size", text.size()}})},
                         {"layers", list}})
        .dump();
  }
  void write(const std::string& dir, const std::string& name) const {
    (void)make_dirs(dir + "/blobs/sha256", 0755);
    std::vector<std::string> blobs = layers;
    blobs.push_back(config());
    blobs.push_back(manifest());
    for (const std::string& blob : blobs)
      std::ofstream(dir + "/blobs/sha256/" + Digest::of(blob).hex(), std::ios::binary) << blob;
    std::ofstream(dir + "/oci-layout") << R"({"imageLayoutVersion":"1.0.0"})";
    const std::string text = manifest();
    const Json entry = Json::object({{"mediaType", std::string(kOciManifest)},
                                     {"digest", Digest::of(text).str()},
                                     {"size", text.size()},
                                     {"annotations", Json::object({{kRefName, name}})}});
    (void)write_file_atomic(
        dir + "/index.json",
        Json::object({{"schemaVersion", 2}, {"manifests", Json::array({entry})}}).dump(), 0644);
  }
};

}  // namespace locald::oci::test
