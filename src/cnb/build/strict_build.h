#pragma once
#include "base/result.h"
#include "cnb/build/build_session.h"
#include "cnb/store/generation.h"

namespace locald::cnb {

/// All five phases of the builder's own lifecycle, as separate containers, by `-layout`: no
/// registry, no network but what buildpacks want. Its image goes into the image store, under the
/// app's own name, and is run like any other. The slower way, and the measure of the faster one.
///
/// The run image and the previous image are given to the lifecycle sparse (without layers): it
/// would inflate each it finds. The previous image's SBOM layer alone must be there, or the
/// SBOMs of layers that are used again would be lost without a word.
/// Spec: CNB platform.md, RFC 119 (export to OCI layout).
Result<Generation> strict_build(BuildSession& session, SourceIndex& source);

}  // namespace locald::cnb
