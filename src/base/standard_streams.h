// Descriptors 0, 1 and 2 of a process that may have been started without them (`sluice ... 0<&-
// 1>&- 2>&-`).
#pragma once

namespace sluice {

// Opens each of the three that is closed on /dev/null: stdin is then empty, and what goes to stdout
// or stderr is dropped. Otherwise the next file opened, a run's lock or its metrics, would be what
// the console writes to. Uses system calls only, so that it may run before any initialiser.
void open_standard_streams() noexcept;

}  // namespace sluice
