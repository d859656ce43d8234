#include "app/command_line.h"
#include "base/standard_streams.h"

namespace {

// Called before the initialisers of all libraries: what one of them opens (a GPU's driver, a
// profiler) must not become descriptor 0, 1 or 2.
[[gnu::section(".preinit_array"), gnu::used]] void (*const kBeforeAll)() = sluice::open_standard_streams;

}  // namespace

int main(int argc, char** argv) { return sluice::app::run(argc, argv); }
