#pragma once
#include "cli/context.h"
#include "ipc/messages/project.h"

/// The options of verbs that read a compose file.
namespace locald::cli {

inline constexpr Option kProfile{0, "profile", "NAME",
                                 "enable this profile of a compose file; `*`: all"};
inline constexpr Option kAllowUnsupported{
    0, "allow-unsupported", "KEY,…",
    "leave out of a compose file what would be refused: privileged, docker.sock…"};
inline constexpr Option kPublishAddress{
    0, "publish-address", "ADDRESS",
    "publish ports of a compose file here, where they name no address: 0.0.0.0"};

ipc::ComposeWishes compose_wishes(const Context& context, const Args& args);

}  // namespace locald::cli
