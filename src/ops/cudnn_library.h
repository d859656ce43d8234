// The functions of cuDNN 9 that are used, loaded from libcudnn.so.9 at run time: building needs no
// header of cuDNN or CUDA. Tests substitute their own functions. Names and numbers are those of
// NVIDIA's cudnn_graph.h ("cuDNN Backend API"), which stay the same within a major version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace sluice::ops {

// cudnnDataType_t
enum class CudnnData : int { kFloat = 0, kInt32 = 4, kBf16 = 9, kBool = 11 };

// cudnnBackendDescriptorType_t
enum class CudnnObject : int {
  kPointwise = 0,
  kEngineConfig = 3,
  kHeuristics = 4,
  kPlan = 5,
  kPointwiseOperation = 13,
  kOperationGraph = 15,
  kVariantPack = 16,
  kTensor = 17,
  kMatmul = 18,
  kMatmulOperation = 19,
  kReduction = 21,
  kReductionOperation = 22,
  kReshapeOperation = 31,
};

// cudnnBackendAttributeName_t
enum class CudnnName : int {
  kPointwiseMode = 0,
  kPointwisePrecision = 1,
  kPointwiseAxis = 9,
  kHeuristicsMode = 200,
  kHeuristicsGraph = 201,
  kHeuristicsResults = 202,
  kPlanHandle = 400,
  kPlanConfig = 401,
  kPlanWorkspaceSize = 402,
  kPointwiseDescriptor = 750,
  kPointwiseX = 751,
  kPointwiseB = 752,
  kPointwiseY = 753,
  kPointwiseT = 758,
  kGraphHandle = 800,
  kGraphOperations = 801,
  kTensorAlignment = 900,
  kTensorType = 901,
  kTensorSizes = 902,
  kTensorStrides = 903,
  kTensorId = 906,
  kTensorIsVirtual = 907,
  kTensorIsByValue = 908,
  kPackIds = 1000,
  kPackPointers = 1001,
  kPackWorkspace = 1003,
  kMatmulPrecision = 1500,
  kMatmulA = 1520,
  kMatmulB = 1521,
  kMatmulC = 1522,
  kMatmulDescriptor = 1523,
  kMatmulRows = 1525,     // actual sizes per batch entry: of a's rows,
  kMatmulColumns = 1526,  // of b's columns,
  kMatmulDepth = 1527,    // of what is summed over
  kReductionMode = 1600,
  kReductionPrecision = 1601,
  kReductionX = 1610,
  kReductionY = 1611,
  kReductionDescriptor = 1612,
  kReshapeX = 2200,
  kReshapeY = 2201,
};

// cudnnBackendAttributeType_t
enum class CudnnType : int {
  kHandle = 0,
  kDataType = 1,
  kBool = 2,
  kInt64 = 3,
  kPointer = 6,
  kHeuristicsMode = 8,
  kPointwiseMode = 14,
  kDescriptor = 15,
  kReductionMode = 18,
};

// cudnnPointwiseMode_t
enum class CudnnPointwise : int {
  kAdd = 0,
  kMultiply = 1,
  kDivide = 6,
  kSubtract = 9,
  kExp = 13,
  kLog = 15,
  kCopy = 21,  // CUDNN_POINTWISE_IDENTITY
  kAtLeast = 303,
  kLess = 304,
  kAnd = 400,
  kIndex = 501,   // the position along an axis
  kSelect = 601,  // t ? x : b
};

// cudnnReduceTensorOp_t
enum class CudnnReduction : int { kAdd = 0, kMax = 3 };

// cudnnBackendHeurMode_t: the full heuristics.
inline constexpr int kCudnnHeuristicsA = 3;

// Results are 0 or an error number.
struct CudnnLibrary {
  std::shared_ptr<void> library;
  std::size_t (*version)() = nullptr;  // 91900: 9.19.0
  const char* (*error_string)(int) = nullptr;
  void (*last_error)(char*, std::size_t) = nullptr;
  int (*create_handle)(void** handle) = nullptr;
  int (*set_stream)(void* handle, void* stream) = nullptr;
  int (*create)(CudnnObject, void** descriptor) = nullptr;
  int (*destroy)(void* descriptor) = nullptr;
  int (*set)(void* descriptor, CudnnName, CudnnType, std::int64_t count,
             const void* values) = nullptr;
  int (*get)(const void* descriptor, CudnnName, CudnnType, std::int64_t count, std::int64_t* found,
             void* values) = nullptr;
  int (*finalize)(void* descriptor) = nullptr;
  int (*execute)(void* handle, void* plan, void* pack) = nullptr;

  // The cuDNN that LibTorch has loaded, otherwise one that the loader finds; nullptr without one.
  static std::unique_ptr<CudnnLibrary> load();
  // "not supported (3000): reason", for an error number.
  std::string explain(int error) const;
};

std::string cudnn_version_text(std::size_t version);  // 91900 -> "9.19.0"

}  // namespace sluice::ops
