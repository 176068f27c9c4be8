#pragma once
#include <string>
#include <vector>

#include "project/keys/key_reader.h"

/// The keys of a service whose values have a form of their own.
namespace locald::project {

/// ["db"] or { db = "healthy" }.
void read_depends(const Node& node, const std::string& where, Sink& sink,
                  std::vector<DependencySpec>& out);
/// ["data:/data", { source, target, read_only }].
void read_volumes(const Node& node, const std::string& where, Sink& sink,
                  std::vector<VolumeSpec>& out);
/// "on-failure" or { policy, max, window }.
void read_restart(const Node& node, const std::string& where, Sink& sink, RestartSpec& out);
/// "/healthz" or { http | tcp | exec | log | notify, interval, … }.
void read_health(const Node& node, const std::string& where, Sink& sink, HealthSpec& out);

/// { nofile = 65536, core = { soft, hard } }.
void read_ulimits(const Node& node, const std::string& where, Sink& sink,
                  std::vector<UlimitSpec>& out);
/// ["*.py", { paths, ignore, action }].
void read_watch(const Node& node, const std::string& where, Sink& sink,
                std::vector<WatchSpec>& out);

const Shape& dependencies_shape();
const Shape& ulimits_shape();
const Shape& volumes_shape();
const Shape& restart_shape();
const Shape& health_shape();
const Shape& watch_shape();

}  // namespace locald::project
