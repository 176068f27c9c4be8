#include "runtime/instance_meta.h"

#include "base/json/json.h"

namespace locald::runtime {

std::string InstanceMeta::to_text() const {
  switch (kind) {
    case Kind::unknown:
      return {};
    case Kind::service:
      return Json::object({{"project", project},
                           {"service", service},
                           {"life", life},
                           {"restarts", restarts}})
          .dump();
    case Kind::exec:
      return Json::object({{"exec", true}, {"project", project}, {"service", service}}).dump();
    case Kind::container:
      return Json::object({{"container", true},
                           {"image", image},
                           {"rm", rm},
                           {"name", name},
                           {"writable", writable}})
          .dump();
    case Kind::build:
      return Json::object({{"build", app}}).dump();
  }
  return {};
}

InstanceMeta InstanceMeta::from_text(const std::string& text) {
  InstanceMeta out;
  const auto parsed = Json::parse(text);
  if (!parsed) return out;
  const Json& json = *parsed;
  out.project = json["project"].as_string();
  out.service = json["service"].as_string();
  out.life = static_cast<std::uint64_t>(json["life"].as_int());
  out.restarts = static_cast<int>(json["restarts"].as_int());
  out.name = json["name"].as_string();
  out.image = json["image"].as_string();
  out.rm = json["rm"].as_bool();
  out.writable = json["writable"].as_strings();
  out.app = json["build"].as_string();
  if (json["container"].as_bool())
    out.kind = Kind::container;
  else if (json["exec"].as_bool())
    out.kind = Kind::exec;
  else if (!out.app.empty())
    out.kind = Kind::build;
  else if (!out.project.empty())
    out.kind = Kind::service;
  return out;
}

}  // namespace locald::runtime
