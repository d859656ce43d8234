// The functions of NCCL 2 that are used, loaded from libnccl.so.2 at run time: building needs no
// header of NCCL or CUDA. Names and numbers are those of NVIDIA's nccl.h ("NCCL API"), which stay
// the same within a major version.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>

namespace sluice::gpu {

// ncclUniqueId: names a set of communicators that are to find each other.
struct NcclId {
  std::array<char, 128> bytes{};
};

// ncclDataType_t
enum class NcclType : int { kFloat = 7, kDouble = 8 };

// ncclRedOp_t
inline constexpr int kNcclSum = 0;

// Results are 0 or an error number.
struct NcclLibrary {
  std::shared_ptr<void> library;
  int (*unique_id)(NcclId*) = nullptr;
  int (*create)(void** communicator, int size, NcclId, int rank) = nullptr;
  int (*all_reduce)(const void* from, void* to, std::size_t count, NcclType, int operation,
                    void* communicator, void* stream) = nullptr;
  int (*abort)(void* communicator) = nullptr;
  const char* (*error_string)(int) = nullptr;
  const char* (*last_error)(void* communicator) = nullptr;

  // The NCCL that LibTorch has loaded, otherwise one that the loader finds; nullptr without one.
  static std::unique_ptr<NcclLibrary> load();
  // "invalid usage (5): reason", for an error number.
  std::string explain(int error) const;
};

}  // namespace sluice::gpu
