#pragma once

namespace locald::netd {

/// Gives back what a process that only waits does not need: free memory, and the pages of the
/// program, which the kernel has at hand where they are used again.
void give_back_memory();

}  // namespace locald::netd
