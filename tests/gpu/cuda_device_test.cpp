// The host side of a CUDA device, with a driver that records its calls.
#include "gpu/cuda_device.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "tests/base/temporary_directory.h"
#include "tests/gpu/test_cards.h"
#include "tests/gpu/test_program.h"

namespace sluice::gpu::test {
namespace {

class NameCompiler final : public Compiler {
 public:
  std::string identity() const override { return "names"; }
  std::string compile(const Sources& sources) const override {
    return std::string(sources.texts[0].name);
  }
};

struct Calls {
  std::vector<std::string> loaded, looked_up;
  std::vector<unsigned> grid;
  std::vector<int> shared_bytes;  // allowed
  DriverStream stream = nullptr;
  float factor = 0;
  int result = 0;
};
Calls calls;

Driver fake_driver() {
  calls = {};
  Driver d;
  d.init = [](unsigned) { return 0; };
  d.device_get_count = [](int* count) {
    *count = 2;
    return 0;
  };
  d.module_load_data = [](DriverModule* module, const void* binary) {
    calls.loaded.emplace_back(static_cast<const char*>(binary));
    *module = reinterpret_cast<DriverModule>(calls.loaded.size());
    return 0;
  };
  d.module_get_function = [](DriverFunction* function, DriverModule, const char* name) {
    calls.looked_up.emplace_back(name);
    if (std::strcmp(name, "missing") == 0) return 500;
    *function = reinterpret_cast<DriverFunction>(calls.looked_up.size());
    return 0;
  };
  d.launch_kernel = [](DriverFunction, unsigned x, unsigned y, unsigned z, unsigned tx, unsigned ty,
                       unsigned tz, unsigned shared, DriverStream stream, void** arguments,
                       void**) {
    calls.grid = {x, y, z, tx, ty, tz, shared};
    calls.stream = stream;
    calls.factor = *static_cast<float*>(arguments[3]);
    return calls.result;
  };
  d.function_set_attribute = [](DriverFunction, int attribute, int value) {
    EXPECT_EQ(attribute, 8);
    calls.shared_bytes.push_back(value);
    return 0;
  };
  d.device_get_attribute = [](int* value, int attribute, int device) {
    *value = attribute + 100 * device;
    return 0;
  };
  describe_cards(d);
  d.get_error_string = [](int error, const char** text) {
    *text = error == 700 ? "an illegal memory access was encountered" : "named symbol not found";
    return 0;
  };
  return d;
}

struct Fixture {
  sluice::testing::TemporaryDirectory folder;
  NameCompiler compiler;
  KernelCache cache{compiler, folder.path()};
  Driver driver = fake_driver();
  CudaDevice device{driver, cache, [] { return reinterpret_cast<DriverStream>(7); }};
  void scale(const Grid& grid, const char* settings = "s") {
    const float* x = nullptr;
    float* y = nullptr;
    launch(device, test_kernel("scale", settings), grid, x, y, std::int64_t{1}, 2.5f);
  }
};

TEST(CudaDevice, LoadsOnceAndLaunchesOnTheCurrentStream) {
  Fixture f;
  f.scale({.x = 5, .y = 2, .z = 3, .threads = 96});
  EXPECT_EQ(calls.grid, (std::vector<unsigned>{5, 2, 3, 96, 1, 1, 0}));
  EXPECT_EQ(calls.stream, reinterpret_cast<DriverStream>(7));
  EXPECT_EQ(calls.factor, 2.5f);
  f.scale({});
  EXPECT_EQ(calls.loaded, std::vector<std::string>{"test/main.cu"});
  EXPECT_EQ(calls.looked_up, std::vector<std::string>{"scale"});
  f.scale({}, "t");
  EXPECT_EQ(calls.loaded.size(), 2u);
}

TEST(CudaDevice, AllowsTheSharedMemoryThatALaunchAsksFor) {
  Fixture f;
  f.scale({});
  EXPECT_TRUE(calls.shared_bytes.empty());
  for (const std::int64_t bytes : {65536, 1024, 65536, 131072}) {
    f.scale({.threads = 96, .shared_bytes = bytes});
    EXPECT_EQ(calls.grid.back(), static_cast<unsigned>(bytes));
  }
  EXPECT_EQ(calls.shared_bytes, (std::vector<int>{65536, 131072}));
  EXPECT_EQ(calls.looked_up.size(), 1u);
  EXPECT_THROW(f.scale({.shared_bytes = 228 * 1024}), InvariantError);
}

TEST(CudaDevice, AnEmptyGridLaunchesNothing) {
  Fixture f;
  f.scale({.x = 0});
  EXPECT_TRUE(calls.grid.empty());
}

TEST(CudaDevice, ErrorsNameTheKernelAndTheReason) {
  Fixture f;
  calls.result = 700;
  try {
    f.scale({});
    FAIL();
  } catch (const InvariantError& error) {
    EXPECT_NE(std::string(error.what()).find("scale"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("700 (an illegal memory access"), std::string::npos);
  }
  EXPECT_THROW(launch(f.device, test_kernel("missing"), {}), InvariantError);
  EXPECT_THROW(f.scale({.y = 65536}), InvariantError);
  EXPECT_THROW(f.scale({.threads = 2048}), InvariantError);
}

TEST(CudaDevice, DescribesTheCard) {
  const Card card = card_of(fake_driver(), 1);
  EXPECT_EQ(card.name, "Test Card");
  EXPECT_EQ(card.major, 175);
  EXPECT_EQ(card.minor, 176);
  EXPECT_EQ(card.num_multiprocessors, 116);
  EXPECT_EQ(card.memory_bytes, std::size_t{1} << 20);
  EXPECT_EQ(card.driver_version, 13000);
}

TEST(CudaDevice, ThisMachineHasADriverOrNot) {
  const std::unique_ptr<Driver> driver = Driver::load();
  if (driver == nullptr) GTEST_SKIP() << "no CUDA driver";
  int version = 0;
  EXPECT_EQ(driver->driver_get_version(&version), 0);
  EXPECT_GT(version, 12000);
}

}  // namespace
}  // namespace sluice::gpu::test
