#pragma once
#include <string_view>
#include <utility>

#include "project/keys/key_reader.h"

/// The keys of a service.
namespace locald::project {

inline constexpr std::pair<std::string_view, ServiceKind> kServiceKinds[] = {
    {"exec", ServiceKind::exec}, {"container", ServiceKind::container}, {"cnb", ServiceKind::cnb}};

/// What is read of [services.NAME].
struct ServiceReading {
  ServiceSpec spec;
  const Node* processes = nullptr;  ///< as it stands there
};
/// All keys of a service of `kind`; `type` reads nothing: it is known before.
KeyFields service_fields(ServiceKind kind, Sink& sink, ServiceReading& out);
/// All keys of a process type's table.
KeyFields process_table_fields(Sink& sink, ServiceSpec& out);

// Some of them: of what runs in a container, of images, of apps, of how an app is built.
KeyFields container_fields(Sink& sink, ServiceSpec& out);
KeyFields image_fields(Sink& sink, ServiceSpec& out);
KeyFields app_fields(Sink& sink, ServiceReading& out);
KeyFields build_fields(Sink& sink, ServiceSpec& out);  // build_reader.cc

}  // namespace locald::project
