#include "cnb/app.h"

#include "base/json/fields.h"
#include "base/strings.h"
#include "oci/ref/digest.h"

namespace locald::cnb {
namespace {

/// For the name of a folder: short, and of harmless letters.
std::string readable(const std::string& text) {
  std::string out;
  for (const char c : to_lower(text)) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (good)
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
    if (out.size() == 20) break;
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

/// Of records alone: they are written by one build and read by others.
const Fields& app_fields() {
  using A = AppSpec;
  static const Fields table = FieldsOf<A>("app")
                                  .always("project", &A::project, "")
                                  .required_path("path", &A::path, "")
                                  .always("builder", &A::builder, "")
                                  .always("run_image", &A::run_image, "")
                                  .always("base_dir", &A::base_dir, "")
                                  .always("pull", &A::pull, "")
                                  .always("env", &A::env, "")
                                  .always("bindings", &A::bindings, "")
                                  .always("host_ca", &A::host_ca, "")
                                  .always("host_ca_file", &A::host_ca_file, "")
                                  .always("proxies", &A::proxies, "")
                                  .always("exec_env", &A::exec_env, "")
                                  .always("live", &A::live, "")
                                  .always("strict", &A::strict, "")
                                  .always("timeout_ms", &A::timeout, "")
                                  .field("variant", &A::variant, "");
  return table;
}

}  // namespace

std::string AppSpec::key() const {
  const std::string folder = path.substr(path.rfind('/') + 1);
  std::string what = project + '\0' + path + '\0' + builder;
  std::string tail = readable(folder) + "-";
  if (!variant.empty()) {
    what += '\0' + variant;
    tail += readable(variant) + "-";
  }
  const std::string head = project.empty() || project == folder ? "" : readable(project) + "-";
  return head + tail + oci::Digest::of(what).hex().substr(0, 8);
}

Json AppSpec::to_json() const { return app_fields().encode(this); }

Result<AppSpec> AppSpec::from_json(const Json& json) {
  AppSpec app;
  TRY(app_fields().decode(json, &app, Reading::tolerant));
  return app;
}

}  // namespace locald::cnb
