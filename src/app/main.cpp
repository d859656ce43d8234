#include "app/command_line.h"
#include "base/standard_streams.h"

namespace {

// Runs before the initializers of all libraries, so that no file that they open (a GPU driver, a
// profiler) becomes descriptor 0, 1 or 2.
[[gnu::section(".preinit_array"),
  gnu::used]] void (*const kBeforeAll)() = sluice::open_standard_streams;

}  // namespace

int main(int argc, char** argv) { return sluice::app::run(argc, argv); }
