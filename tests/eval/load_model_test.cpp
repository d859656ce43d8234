#include "eval/load_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "tests/store/store_support.h"

namespace sluice::eval {
namespace {

using store::Dtype;
using store::TensorView;

const model::ModelConfig& small_config() {
  static const model::ModelConfig config = [] {
    model::DecoderConfig small;
    small.num_layers = 1;
    small.d_model = 16;
    small.num_heads = 2;
    small.d_ff = std::int64_t{24};
    return small;
  }();
  return config;
}

std::unique_ptr<model::LanguageModel> seeded_model(std::uint64_t seed) {
  auto made = model::make_model(small_config(), 50, 8);
  made->parameters().allocate(at::kCPU, at::kBFloat16, false);
  made->parameters().initialize(seed);
  return made;
}

std::vector<TensorView> views_of(const ops::Parameters& parameters) {
  std::vector<TensorView> views;
  for (const auto& parameter : parameters.named())
    views.push_back({parameter.spec->name,
                     Dtype::kF32,
                     parameter.spec->shape,
                     {static_cast<const std::byte*>(parameter.value.const_data_ptr()),
                      parameter.value.nbytes()}});
  return views;
}

TEST(LoadModel, RestoresEveryParameterBitForBit) {
  const auto from = seeded_model(1), to = seeded_model(2);
  load_parameters(to->parameters(), {"a file", views_of(from->parameters()), {}});
  EXPECT_TRUE(at::equal(to->parameters().master(), from->parameters().master()));
  EXPECT_TRUE(at::equal(to->parameters().compute(), from->parameters().compute()));
}

TEST(LoadModel, RejectsMismatchedTensorsWithoutChangingTheModel) {
  struct Fault {
    const char* what;
    std::function<void(std::vector<TensorView>&)> make;
    const char* named;
  };
  const std::vector<Fault> faults{
      {"missing", [](auto& views) { views.erase(views.begin()); }, "embedding.weight"},
      {"unknown",
       [](auto& views) {
         views.push_back({"blocks.9.extra", Dtype::kF32, {}, views[0].bytes.subspan(0, 4)});
       },
       "blocks.9.extra"},
      {"renamed", [](auto& views) { views[2].name = "other"; }, "attention"},
      {"transposed",
       [](auto& views) { std::reverse(views[0].shape.begin(), views[0].shape.end()); }, "[16, 50]"},
      {"another type", [](auto& views) { views[0].dtype = Dtype::kI32; }, "I32"},
      {"too few rows", [](auto& views) { views[0].shape[0] = 49; }, "[49, 16]"},
  };
  const auto from = seeded_model(1);
  for (const Fault& fault : faults) {
    const auto to = seeded_model(2);
    const at::Tensor before = to->parameters().master().clone();
    std::vector<TensorView> views = views_of(from->parameters());
    fault.make(views);
    try {
      load_parameters(to->parameters(), {"a file", views, {}});
      ADD_FAILURE() << fault.what << " was accepted";
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
      EXPECT_NE(std::string(error.what()).find("a file"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(fault.named), std::string::npos)
          << fault.what << ": " << error.what();
    }
    EXPECT_TRUE(at::equal(to->parameters().master(), before)) << fault.what;
  }
}

TEST(LoadModel, ReadsAFile) {
  const store::ScratchDirectory scratch;
  const auto from = seeded_model(1);
  const auto file = real_files().open(scratch / "model.safetensors", FileSystem::Mode::kCreate);
  store::write_safetensors(*file, views_of(from->parameters()));
  file->close();
  const auto loaded = load_model(small_config(), 50, 8, scratch / "model.safetensors", {});
  EXPECT_TRUE(at::equal(loaded->parameters().master(), from->parameters().master()));
  EXPECT_FALSE(loaded->parameters().gradient().defined());
  try {
    load_model(small_config(), 50, 8, scratch / "nothing.safetensors", {});
    ADD_FAILURE() << "accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kMissingInput);
  }
}

}  // namespace
}  // namespace sluice::eval
