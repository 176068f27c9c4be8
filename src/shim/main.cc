#include <unistd.h>

#include <cstring>

#include "base/sys/standard_fds.h"
#include "shim/init.h"
#include "shim/modes.h"
#include "shim/protocol.h"

int main(int argc, char** argv) {
  using namespace locald::shim;
  locald::fill_standard_fds();
  if (argc > 0 && std::strcmp(argv[0], kInitPath) == 0) return init_mode(argv + 1);
  const char* mode = argc > 1 ? argv[1] : "";
  if (std::strcmp(mode, kModeRun) == 0) return run_mode();
  if (std::strcmp(mode, kModeProbe) == 0) return probe_mode();
  if (std::strcmp(mode, kModeHolder) == 0) return holder_mode();
  if (std::strcmp(mode, kModeInit) == 0) return init_mode(argv + 2);
  const char text[] = "locald-shim is started by locald-server, not by hand.\n";
  (void)!::write(2, text, sizeof text - 1);
  return 2;
}
