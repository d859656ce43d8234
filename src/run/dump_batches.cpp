#include "run/dump_batches.h"

#include <utility>
#include <vector>

#include "base/file.h"
#include "store/safetensors.h"

namespace sluice::run {

void dump_batches(const data::TrainingBatches& batches, std::int64_t num_steps,
                  const std::filesystem::path& path, std::optional<std::int32_t> start) {
  std::vector<std::int32_t> inputs, targets, decoder_inputs;
  std::vector<std::int64_t> input_shape{num_steps, 0, 0}, target_shape{num_steps, 0, 0};
  for (std::int64_t step = 0; step < num_steps; ++step) {
    const data::Batch batch = batches.batch(static_cast<std::uint64_t>(step));
    input_shape = {num_steps, batch.num_sequences, batch.input_length};
    target_shape = {num_steps, batch.num_sequences, batch.target_length};
    inputs.insert(inputs.end(), batch.inputs.begin(), batch.inputs.end());
    targets.insert(targets.end(), batch.targets.begin(), batch.targets.end());
    for (std::size_t i = 0; start && i < batch.targets.size(); ++i)
      decoder_inputs.push_back(
          i % static_cast<std::size_t>(batch.target_length) == 0 ? *start : batch.targets[i - 1]);
  }
  std::vector<store::TensorView> tensors{
      {"inputs", store::Dtype::kI32, input_shape, std::as_bytes(std::span(inputs))},
      {"targets", store::Dtype::kI32, target_shape, std::as_bytes(std::span(targets))}};
  if (start)
    tensors.push_back({"decoder_inputs", store::Dtype::kI32, target_shape,
                       std::as_bytes(std::span(std::as_const(decoder_inputs)))});
  const std::unique_ptr<OutputFile> file = real_files().open(path, FileSystem::Mode::kCreate);
  store::write_safetensors(*file, tensors);
  file->close();
}

}  // namespace sluice::run
