#include "run/dump_batches.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "data/causal_batches.h"
#include "store/safetensors.h"
#include "tests/train/train_support.h"

namespace sluice::run {
namespace {

TEST(DumpBatches, WritesTheTokensOfEveryStep) {
  const sluice::testing::TemporaryDirectory directory;
  const data::TokenStream stream(train::test::learnable_ids(500, 257));
  const data::CausalBatches batches(stream,
                                    {.seed = 3, .batch_sequences = 2, .sequence_length = 7});
  dump_batches(batches, 5, directory / "batches.safetensors");
  const MappedFile file(directory / "batches.safetensors");
  const store::Tensors tensors = store::parse_safetensors(file.bytes(), "batches");
  ASSERT_EQ(tensors.all.size(), 2u);
  for (const auto& view : tensors.all) {
    EXPECT_EQ(view.dtype, store::Dtype::kI32);
    EXPECT_EQ(view.shape, (std::vector<std::int64_t>{5, 2, 7}));
    for (std::size_t step = 0; step < 5; ++step) {
      const data::Batch batch = batches.batch(step);
      const std::vector<std::int32_t>& expected =
          view.name == "inputs" ? batch.inputs : batch.targets;
      EXPECT_EQ(std::memcmp(view.bytes.data() + step * 14 * 4, expected.data(), 14 * 4), 0)
          << view.name << " of step " << step;
    }
  }
}

TEST(DumpBatches, AnUnwritablePathIsAnIoError) {
  const data::TokenStream stream(train::test::learnable_ids(500, 257));
  const data::CausalBatches batches(stream, {.batch_sequences = 2, .sequence_length = 7});
  train::test::error_of(
      ExitCode::kIo, [&] { dump_batches(batches, 1, "/nonexistent/folder/batches.safetensors"); });
}

}  // namespace
}  // namespace sluice::run
