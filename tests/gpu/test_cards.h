// Answers of a driver about its cards.
#pragma once

#include <cstring>

#include "gpu/driver.h"

namespace sluice::gpu::test {

// Card 3 is "Third Card", the others are "Test Card"; each has 1 MiB. The driver is CUDA 13.0.
inline void describe_cards(Driver& driver) {
  driver.device_get_name = [](char* name, int length, int device) {
    std::strncpy(name, device == 3 ? "Third Card" : "Test Card", static_cast<std::size_t>(length));
    return 0;
  };
  driver.device_total_memory = [](std::size_t* bytes, int) {
    *bytes = 1 << 20;
    return 0;
  };
  driver.driver_get_version = [](int* version) {
    *version = 13000;
    return 0;
  };
}

}  // namespace sluice::gpu::test
