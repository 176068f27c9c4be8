#include "project/resolve/asked_images.h"

#include <algorithm>
#include <set>

#include "project/project_check.h"
#include "project/resolve/interpolation.h"
#include "project/resolve/texts.h"

namespace locald::project {
namespace {

/// The services whose port or URL others, or they themselves, refer to.
std::set<std::string> referred_to(const ProjectSpec& spec) {
  std::set<std::string> out;
  for (const ServiceSpec& reader : spec.services)
    for (const Text* text : texts_of(reader))
      if (const auto references = service_references(text->raw))
        for (const Reference& reference : *references)
          if (reference.field != "host") out.insert(reference.service);
  return out;
}

}  // namespace

bool asks_own_port(const HealthSpec& health) {
  return (health.kind == HealthSpec::Kind::tcp && health.target.raw.empty()) ||
         (health.kind == HealthSpec::Kind::http && health.target.raw.starts_with("/"));
}

std::vector<AskedImage> asked_images(const ResolveInput& input) {
  std::vector<AskedImage> out;
  const std::set<std::string> referred = referred_to(input.spec);
  Texts texts(input);
  for (const ServiceSpec& s : input.spec.services) {
    if (s.kind != ServiceKind::container) continue;
    const bool port =
        s.network.mode == NetworkUse::Mode::project && s.container_port == 0 && s.ports.empty() &&
        (s.port != 0 || s.auto_port || asks_own_port(s.health) || referred.contains(s.name));
    if (!port && !s.image_health.wanted) continue;
    texts.begin(s);
    std::string image = texts.text(s.image);
    if (!image.empty())
      out.push_back({s.name, std::move(image), s.pull, port, s.image_health.wanted});
  }
  return out;
}

}  // namespace locald::project
