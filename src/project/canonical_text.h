#pragma once
#include <string>

#include "project/service_config.h"

namespace locald::project {

/// What of a configuration decides whether a service has changed, and names its container's
/// writable folder. Two that are equal need no restart.
///
/// It is apart from the record (ServiceConfig::to_json()), because it must stay byte for byte what
/// it is: after an upgrade `up` says "unchanged", and containers keep their folders. So:
///
/// * Members have the order and the form that they have here, whatever the record does.
/// * A new member of a configuration is added at the end, and only where it is not at its default:
///   configurations that do not use it keep their text.
/// * A form that cannot be had so is another version of the text: the record of a project then has
///   to say by which one its containers were named.
///
/// tests/golden/configurations has the texts of earlier servers.
Json canonical_form(const ServiceConfig& config);
/// The same as text: what is hashed.
std::string canonical_text(const ServiceConfig& config);
/// 16 hex digits of the text: what an instance was started with, in its own record.
std::string configuration_id(const ServiceConfig& config);

}  // namespace locald::project
