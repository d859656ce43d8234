// Time for people and logs. Nothing that is compared bit for bit may use it.
#pragma once

#include <string>

namespace sluice {

double monotonic_s();         // seconds since some fixed moment
double process_s();           // seconds since this process was started, the loading of its libraries included
std::string utc_timestamp();  // "2026-01-31T12:00:00Z"

}  // namespace sluice
