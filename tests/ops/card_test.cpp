#include "ops/card.h"

#include <gtest/gtest.h>

#include <cstring>

namespace sluice::ops {
namespace {

TEST(Card, AsksTheDriverForTheDeviceOfThatNumber) {
  gpu::Driver driver;
  driver.device_get_attribute = [](int* value, int, int device) {
    *value = device;
    return 0;
  };
  driver.device_get_name = [](char* name, int length, int device) {
    std::strncpy(name, device == 3 ? "Third Card" : "First Card", static_cast<std::size_t>(length));
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
  EXPECT_EQ(card_of(c10::Device("cuda:3"), &driver)->name, "Third Card");
  EXPECT_EQ(card_of(c10::Device("cuda"), &driver)->name, "First Card");
  EXPECT_EQ(card_of(c10::Device("cuda"), &driver)->memory_bytes, 1u << 20);
  EXPECT_FALSE(card_of(c10::Device("cuda"), nullptr));
  EXPECT_FALSE(card_of(c10::Device("cpu"), &driver));
  EXPECT_FALSE(card_of(c10::Device("cpu")));
}

}  // namespace
}  // namespace sluice::ops
