// locald-manual DIR: writes the manual pages there (scripts/package).
#include <cstdio>

#include "base/sys/fs_at.h"
#include "cli/context.h"
#include "cli/manual.h"
#include "cli/print.h"
#include "ipc/version.h"

int main(int argc, char** argv) {
  using namespace locald;
  if (argc != 2) return cli::usage_error("a folder is missing", "locald-manual DIR");
  for (const auto& [name, text] : cli::manual_pages(std::string(ipc::kVersion)))
    if (auto written = write_file_atomic(std::string(argv[1]) + "/" + name, text, 0644); !written) {
      cli::print_error(written.error());
      return 1;
    }
  return 0;
}
