// Replaces closed standard streams (`sluice ... 0<&- 1>&- 2>&-`).
#pragma once

namespace sluice {

// Opens /dev/null for each closed descriptor among 0, 1 and 2: stdin is then empty, and output is
// discarded. Otherwise the next file opened, such as a run's lock or metrics, would get the
// descriptor and receive console output. Uses only system calls, so it may run before any
// initializer.
void open_standard_streams() noexcept;

}  // namespace sluice
