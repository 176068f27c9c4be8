#pragma once
#include "base/result.h"
#include "cnb/build/build_session.h"
#include "cnb/store/generation.h"

namespace locald::cnb {

/// The builder's own detector and builder, for what buildpacks mean is theirs to say; all
/// that only moves data is ours, and moves as little as it can:
///
///     analyze   the run image's platform, from its configuration
///     detect    the real phase
///     restore   the earlier generation's cached layers, from their spare copies (a rename each)
///     build     the real phase
///     export    layers are renamed to where they are run from; one that the build left as it was
///               stays where it is, and its copy is the next build's
///
/// What comes out equals the real exporter's image (tests/cnb/README.md): layers, labels,
/// configuration.
Result<Generation> hybrid_build(BuildSession& session, SourceIndex& source);

}  // namespace locald::cnb
