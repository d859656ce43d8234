// How many threads `auto` means.
#pragma once

namespace sluice {

// The first number of the environment variable OMP_NUM_THREADS where it is set ("4", "4,2"), 1 to 1024; else the processors that this
// process may use. A value that is no such list is ignored, with a warning the first time.
int auto_threads();

}  // namespace sluice
