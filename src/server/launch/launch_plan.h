#pragma once
#include <string>
#include <vector>

#include "builder/container_options.h"
#include "net/network.h"
#include "project/service_config.h"
#include "runtime/process_runtime.h"
#include "server/launch/container_source.h"
#include "server/supervise/launcher.h"

/// What a service's configuration asks for, in the words of the rooms below. Pure, but for
/// open_workdir().
namespace locald::server {

/// The world of a host process of this service: what `up` gave, and what the file adds.
runtime::HostProcess host_process(const project::ServiceConfig& config,
                                  const project::UserContext& user, std::vector<std::string> argv);
/// Opens the folder it starts in (project::open_workdir), which is used as it is found here. Blocks
/// for microseconds.
Result<void> open_workdir(runtime::HostProcess& process, const PathJudge& judge);

/// What the file says of a container, and how it is attached to its network.
Result<builder::ContainerOptions> container_options(const LaunchRequest& request,
                                                    const net::Attachment& attachment);
/// Where the container of a service comes from.
Result<SourceRequest> source_request(const LaunchRequest& request,
                                     const net::Attachment& attachment);
/// What it is to reach by name.
net::AttachRequest attach_request(const LaunchRequest& request);
/// The service's app with what its build takes of the world of the one who runs it: proxies and
/// the place of certificates.
cnb::AppSpec app_of(const project::ServiceConfig& config, const project::UserContext& user);
/// Names the writable folder of a service's container: a new one after a change of its
/// configuration.
std::string container_key(const std::string& project, const project::ServiceConfig& config);

}  // namespace locald::server
