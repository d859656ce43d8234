// Attention by cuDNN, with a library that records graphs and computes them on the host.
#include "ops/cudnn_attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "gpu/library.h"
#include "tests/gpu/host_device.h"
#include "tests/ops/attention_cases.h"
#include "tests/ops/fake_cudnn.h"

namespace sluice::ops::test {
namespace {

int stream_marker, major_version;

void* marked_stream(c10::Device) { return &stream_marker; }

class CudnnAttentions : public ::testing::Test {
 protected:
  CudnnAttentions() { major_version = 9; }

  const Setting setting{.dtype = at::kBFloat16, .gpu = &host_gpu()};
  FakeCudnn fake;
  const CudnnAttention attention{fake.library,
                                 {&marked_stream, [](c10::Device) { return major_version; }}};
  const ScopedCudnnAttention scope{attention};
};

// Inputs of a core, as attention packs them.
struct CoreCase {
  CoreInputs in;
  Heads packed_gradient;
  at::Tensor dy_BTHD;
};

CoreCase core_case(std::int64_t T, std::int64_t H, std::int64_t K) {
  const auto heads = [&](const at::Tensor& packed) {
    const at::Tensor x = packed.view({2, T, H + 2 * K, 16}).transpose(1, 2);
    return Heads{x.narrow(1, 0, H), x.narrow(1, H, K), x.narrow(1, H + K, K)};
  };
  const at::Tensor packed = numbers({2, T, (H + 2 * K) * 16}, 1).to(at::kBFloat16);
  return {{.heads = heads(packed), .causal = true, .scale = 0.3, .with_gradient = true},
          heads(at::zeros_like(packed)),
          numbers({2, T, H, 16}, 2).to(at::kBFloat16)};
}

TEST_F(CudnnAttentions, EqualFloat64) {
  for (const AttentionCase& s : kAttentionCases) {
    fake.executions.clear();
    expect_equals_float64(
        setting, [&](const Setting& of) { return run_attention(s, of); }, kAttentionGradientFactor);
    const bool uses_cudnn = s.shape.head_dim % 8 == 0 && s.dropout == 0;
    EXPECT_EQ(fake.executions.size(), uses_cudnn ? 2u : 0u);
  }
}

TEST_F(CudnnAttentions, FasterBackwardEqualsTheRepeatableOne) {
  for (const auto& [T, H, K] : {std::tuple{40, 2, 2}, std::tuple{128, 4, 2}}) {
    CoreCase c = core_case(T, H, K);
    const CoreResult result = attention.forward(c.in);
    const Heads d = attention.backward(c.in, result, c.dy_BTHD, c.packed_gradient);
    const at::Tensor dq = d.q.clone(), dk = d.k.clone(), dv = d.v.clone();
    EXPECT_EQ(fake.executions.back().bindings.count(kCudnnDqSum), 0u);
    c.in.deterministic = false;
    attention.backward(c.in, result, c.dy_BTHD, c.packed_gradient);
    EXPECT_EQ(fake.executions.back().bindings.count(kCudnnDqSum), 1u);
    EXPECT_TRUE(at::equal(d.q, dq) && at::equal(d.k, dk) && at::equal(d.v, dv));
  }
}

TEST_F(CudnnAttentions, TheContextDecidesWhetherBackwardRepeats) {
  for (const bool deterministic : {true, false}) {
    Context context{.gpu = &host_gpu(), .deterministic = deterministic};
    const at::Tensor qkv = numbers({1, 8, 3 * 2 * 8}, 1, 0.7).to(at::kBFloat16).requires_grad_();
    causal_attention(qkv, {2, 2, 8}, {}, context).sum().backward();
    EXPECT_EQ(fake.executions.back().bindings.count(kCudnnDqSum), deterministic ? 0u : 1u);
  }
  EXPECT_EQ(fake.executions.size(), 4u);
}

TEST_F(CudnnAttentions, GradientsAreWrittenToTheirPlaces) {
  const CoreCase c = core_case(40, 4, 2);
  const CoreResult result = attention.forward(c.in);
  const Heads d = attention.backward(c.in, result, c.dy_BTHD, c.packed_gradient);
  const FakeCudnn::Execution &forward = fake.executions.at(0), &backward = fake.executions.at(1);
  EXPECT_EQ(forward.bindings.at(kCudnnQ), c.in.heads.q.const_data_ptr());
  EXPECT_EQ(forward.bindings.at(kCudnnK), c.in.heads.k.const_data_ptr());
  EXPECT_EQ(forward.bindings.at(kCudnnV), c.in.heads.v.const_data_ptr());
  EXPECT_EQ(forward.bindings.at(kCudnnY), result.y_BTHD.const_data_ptr());
  EXPECT_EQ(backward.bindings.at(kCudnnDq), c.packed_gradient.q.const_data_ptr());
  EXPECT_EQ(backward.bindings.at(kCudnnDk), c.packed_gradient.k.const_data_ptr());
  EXPECT_EQ(backward.bindings.at(kCudnnDv), c.packed_gradient.v.const_data_ptr());
  EXPECT_EQ(d.q.const_data_ptr(), c.packed_gradient.q.const_data_ptr());
  for (const FakeCudnn::Execution& execution : {forward, backward}) {
    EXPECT_EQ(execution.stream, &stream_marker);
    EXPECT_NE(execution.workspace, nullptr);
  }
  CoreCase other = core_case(40, 4, 2);
  other.packed_gradient.q = other.packed_gradient.q.contiguous();
  EXPECT_THROW(attention.backward(c.in, result, c.dy_BTHD, other.packed_gradient), InvariantError);
}

// cudnn_graphs.txt was recorded from cudnn-frontend 1.15, whose graphs cuDNN recognizes: for
// grouped queries with a causal mask, a bias and padding; and with a backward pass that is not
// repeatable. Numbers are those of cuDNN's header.
TEST_F(CudnnAttentions, GraphsAreThoseOfCudnnFrontend) {
  std::string text;
  for (const auto& [T, K, bias_row, deterministic] :
       {std::tuple{100, 2, 104, true}, std::tuple{256, 4, 0, false}}) {
    const std::int64_t row = (4 + 2 * K) * 64;
    const CudnnGraph::Sizes strides{T * row, 64, row, 1};
    const CudnnAttentionShape shape{.B = 2,
                                    .H = 4,
                                    .K = K,
                                    .T = T,
                                    .S = T,
                                    .D = 64,
                                    .q = strides,
                                    .k = strides,
                                    .v = strides,
                                    .bias_row = bias_row,
                                    .causal = true,
                                    .deterministic = deterministic};
    CudnnGraph forward(fake.library), backward(fake.library);
    add_attention_forward(forward, shape);
    add_attention_backward(backward, shape);
    EXPECT_EQ(forward.build(&fake), "");
    EXPECT_EQ(backward.build(&fake), "");
    const std::size_t last = fake.graphs.size() - 1;
    text += "graph forward\n" + fake.graphs[last - 1] + "graph backward\n" + fake.graphs[last];
  }
  EXPECT_EQ(text, read_file(SLUICE_SOURCE_DIR "/tests/ops/cudnn_graphs.txt"));
}

TEST_F(CudnnAttentions, EachShapeIsPlannedOnce) {
  for (const std::int64_t T : {40, 40, 24, 40}) {
    const CoreCase c = core_case(T, 2, 2);
    ASSERT_TRUE(attention.accepts(c.in));
    attention.forward(c.in);
  }
  EXPECT_EQ(attention.num_plans(), 2u);
  EXPECT_EQ(fake.graphs.size(), 4u);
  EXPECT_EQ(fake.num_handles, 1);
  CoreCase c = core_case(24, 2, 2);
  c.in.causal = false;
  EXPECT_TRUE(attention.accepts(c.in));
  c.in.deterministic = false;
  EXPECT_TRUE(attention.accepts(c.in));
  c.in.scale = 7;  // passed at each call
  EXPECT_TRUE(attention.accepts(c.in));
  EXPECT_EQ(attention.num_plans(), 4u);
}

TEST_F(CudnnAttentions, TheNextEngineIsUsedIfOneRefuses) {
  fake.refused_plans = 2;
  const CoreCase c = core_case(40, 2, 2);
  EXPECT_TRUE(attention.accepts(c.in));
  EXPECT_EQ(&core_for(c.in), &attention);
}

// Without cuDNN, the results are those of another core, and the log says why, once.
TEST_F(CudnnAttentions, RefusedShapesUseAnotherCore) {
  const AttentionCase s = kAttentionCases[1];
  fake.refused_plans = 3;
  ::testing::internal::CaptureStderr();
  const auto got = run_attention(s, setting), again = run_attention(s, setting);
  const std::string text = ::testing::internal::GetCapturedStderr(),
                    line =
                        "attention without cuDNN 9.19.0: plan: not supported (3000): the engine "
                        "refuses";
  EXPECT_EQ(fake.executions.size(), 0u);
  const std::size_t first = text.find(line);
  ASSERT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find("cuDNN", first + line.size()), std::string::npos) << text;
  expect_same_bits(again, got);
  expect_equals_float64(
      setting, [&](const Setting& of) { return run_attention(s, of); }, kAttentionGradientFactor);
}

TEST_F(CudnnAttentions, WhatCudnnCannotDoIsRefused) {
  const auto accepts = [&](const CoreInputs& in) { return attention.accepts(in); };
  CoreCase c = core_case(24, 2, 2);
  EXPECT_TRUE(accepts(c.in));
  EXPECT_FALSE(accepts(core_case(1, 2, 2).in)) << "one query, one key";
  CoreInputs in = c.in;
  in.heads.q = in.heads.q.to(at::kFloat);
  EXPECT_FALSE(accepts(in)) << "fp32";
  in = c.in;
  for (at::Tensor* x : {&in.heads.q, &in.heads.k, &in.heads.v}) *x = x->narrow(3, 1, 8);
  EXPECT_FALSE(accepts(in)) << "not aligned";
  in = c.in;
  for (at::Tensor* x : {&in.heads.q, &in.heads.k, &in.heads.v}) *x = x->narrow(3, 0, 12);
  EXPECT_FALSE(accepts(in)) << "12 elements per head";
  EXPECT_THROW(attention.forward(in), InvariantError);

  major_version = 10;
  EXPECT_FALSE(accepts(core_case(25, 2, 2).in)) << "no repeatable backward pass";
  in = core_case(25, 2, 2).in;
  in.deterministic = false;
  EXPECT_TRUE(accepts(in));
  major_version = 9;
  fake.finds_engines = false;
  EXPECT_FALSE(accepts(core_case(26, 2, 2).in));
}

TEST_F(CudnnAttentions, NoHandleIsARefusal) {
  fake.handle_error = 1001;
  EXPECT_FALSE(attention.accepts(core_case(24, 2, 2).in));
}

TEST_F(CudnnAttentions, InferenceIsNotPlanned) {
  const AttentionShape shape{2, 2, 16};
  const at::Tensor x = numbers({1, 24, shape.packed_columns()}, 1).to(at::kBFloat16);
  causal_attention(x, shape, {}, setting.context());
  causal_attention(leaf(x, setting, at::kBFloat16), shape, {}, setting.context());
  EXPECT_EQ(attention.num_plans(), 1u);
  const at::NoGradGuard guard;
  causal_attention(leaf(x.narrow(1, 0, 16), setting, at::kBFloat16), shape, {}, setting.context());
  EXPECT_EQ(attention.num_plans(), 1u);
}

TEST(CudnnAttention, DestroysItsDescriptors) {
  FakeCudnn fake;
  {
    const CudnnAttention attention(fake.library, {&marked_stream, [](c10::Device) { return 9; }});
    const CoreCase c = core_case(24, 2, 2);
    attention.backward(c.in, attention.forward(c.in), c.dy_BTHD, c.packed_gradient);
    EXPECT_GT(fake.num_objects, 0);
  }
  EXPECT_EQ(fake.num_objects, 0);
}

TEST(CudnnAttention, IsNotUsedOnACpu) { EXPECT_EQ(cudnn_attention(at::kCPU), nullptr); }

// A library with the name of cuDNN and its functions; LibTorch's if that has one.
TEST(CudnnAttention, FindsTheLoadedLibrary) {
  ASSERT_NE(gpu::open_library({SLUICE_FAKE_CUDNN}), nullptr);
  const std::unique_ptr<CudnnLibrary> library = CudnnLibrary::load();
  ASSERT_NE(library, nullptr);
  EXPECT_GE(library->version(), 90000u);
  EXPECT_NE(library->explain(2000), "");
  EXPECT_EQ(has_cudnn_attention(), library->version() >= 91000);
}

}  // namespace
}  // namespace sluice::ops::test
