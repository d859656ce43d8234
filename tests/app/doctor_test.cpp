// `sluice doctor` for machines that are described by a driver that only answers questions.
#include "app/doctor_output.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

namespace sluice::app {
namespace {

gpu::Driver driver_of_h200() {
  gpu::Driver d;
  d.init = [](unsigned) { return 0; };
  d.device_get_count = [](int* count) { return *count = 1, 0; };
  d.device_get_attribute = [](int* value, int attribute, int) {
    return *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 132, 0;
  };
  d.device_get_name = [](char* name, int length, int) {
    std::strncpy(name, "NVIDIA H200", static_cast<std::size_t>(length));
    return 0;
  };
  d.device_total_memory = [](std::size_t* bytes, int) {
    return *bytes = std::size_t{140} << 30, 0;
  };
  d.driver_get_version = [](int* version) { return *version = 13000, 0; };
  return d;
}

constexpr gpu::TorchCuda kTorch{.version = 13000, .num_devices = 1};

gpu::Support h200(const gpu::TorchCuda& torch = kTorch) {
  const gpu::Driver driver = driver_of_h200();
  return gpu::support_of(&driver, 0, torch, [] {
    return gpu::NvrtcFacts{.version = 13000, .architectures = {90}, .path = "/lib/libnvrtc.so.13"};
  });
}

DoctorOutput cpu_machine() {
  DoctorOutput f;
  f.version = "1.0";
  f.git_revision = "abc";
  f.libtorch = "2.13.0";
  f.cpu = "Test CPU";
  f.cpu_features = "avx2";
  f.threads = 8;
  f.num_cpus = 16;
  f.memory_bytes = std::uint64_t{64} << 30;
  f.free_disk_bytes = std::uint64_t{10} << 30;
  f.fp32_gflops = 500;
  f.bf16_gflops = 900;
  return f;
}

Machine machine_with_avx2() {
  Machine m;
  m.memory_bytes = std::uint64_t{64} << 30;
  m.avx2 = true;
  return m;
}

TEST(Doctor, NamesTheCardAndItsSoftware) {
  DoctorOutput f = cpu_machine();
  describe_gpu(f, h200(), {.cuda = 13000, .cudnn = 91900, .driver_release = "580.65.06"});
  f.card->free_memory_bytes = std::uint64_t{139} << 30;
  f.card->fp32_gflops = 51000;
  f.card->bf16_gflops = 760000;
  advise(f, machine_with_avx2());
  EXPECT_EQ(doctor_text(f), R"(sluice      1.0 abc
LibTorch    2.13.0
processor   Test CPU
features    avx2
threads     8 (OMP_NUM_THREADS; this process may use 16 processors)
memory      64.0 GiB
GPU         NVIDIA H200, compute capability 9.0, 140 GiB (139 GiB free)
driver      580.65.06, CUDA up to 13.0
CUDA        LibTorch for 13.0, cuDNN 9.19.0, NVRTC 13.0 (/lib/libnvrtc.so.13)
on the GPU  fp32 51000 GFLOP/s, bf16 760000 GFLOP/s (4096 x 4096 x 4096, measured now)
disk here   10.0 GiB free
products    fp32 500 GFLOP/s, bf16 900 GFLOP/s (2048 x 512 x 1024, measured now)
* GPU found: train.device auto uses it.
* bf16 is supported in hardware: train.precision auto uses it.
)");
  const auto json = nlohmann::json::parse(config::to_json(f));
  EXPECT_EQ(json.at("gpu"), true);
  EXPECT_TRUE(json.at("gpu_obstacle").is_null());
  EXPECT_EQ(json.at("precision_auto"), "bf16");
  EXPECT_EQ(json.at("card"), nlohmann::json::parse(R"({
    "name": "NVIDIA H200", "compute_capability": "9.0", "memory_bytes": 150323855360,
    "free_memory_bytes": 149250113536, "driver": "580.65.06", "driver_cuda": "13.0",
    "libtorch_cuda": "13.0", "cudnn": "9.19.0", "nvrtc": "13.0",
    "nvrtc_path": "/lib/libnvrtc.so.13", "fp32_gflops": 51000.0, "bf16_gflops": 760000.0})"));
}

TEST(Doctor, TellsWhyACardIsNotUsed) {
  DoctorOutput f = cpu_machine();
  describe_gpu(f, h200({}), {});
  advise(f, machine_with_avx2());
  const std::string text = doctor_text(f);
  EXPECT_NE(text.find("GPU         NVIDIA H200, compute capability 9.0, 140 GiB, not used\n"
                      "driver      CUDA up to 13.0\n"
                      "CUDA        LibTorch without CUDA, cuDNN none, NVRTC not found\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("* The GPU is not used, because LibTorch is built without CUDA and cannot "
                      "use NVIDIA H200.\n* Training runs on the CPU"),
            std::string::npos)
      << text;
  EXPECT_EQ(f.precision_auto, "fp32");
  EXPECT_FALSE(f.gpu);
}

TEST(Doctor, AMachineWithoutAGpuIsDescribedInOneLine) {
  DoctorOutput f = cpu_machine();
  describe_gpu(f, gpu::support_of(nullptr, 0, {}, [] { return std::nullopt; }), {});
  advise(f, machine_with_avx2());
  const std::string text = doctor_text(f);
  EXPECT_NE(text.find("memory      64.0 GiB\nGPU         none\ndisk here   "), std::string::npos);
  EXPECT_NE(text.find("* No GPU: training runs on the CPU, which"), std::string::npos);
  EXPECT_FALSE(f.card || f.gpu_obstacle);
}

}  // namespace
}  // namespace sluice::app
