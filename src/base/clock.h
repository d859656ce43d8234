// Wall-clock and monotonic time for logs. Results that must be bit-identical must not depend on it.
#pragma once

#include <string>

namespace sluice {

double monotonic_s();         // since an arbitrary fixed time
double process_s();           // since the start of this process, including library loading
std::string utc_timestamp();  // "2026-01-31T12:00:00Z"

}  // namespace sluice
