// Default number of threads.
#pragma once

namespace sluice {

// The number of threads for `auto`: the first number (1 to 1024) of the environment variable
// OMP_NUM_THREADS ("4", "4,2") if set, else the number of CPUs available to this process. Ignores
// any other value, with a warning the first time.
int auto_threads();

}  // namespace sluice
