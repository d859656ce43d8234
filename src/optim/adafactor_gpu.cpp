#include "optim/adafactor_gpu.h"

#include "base/error.h"
#include "ops/gpu_launch.h"
#include "optim/pieces.h"

namespace sluice::optim {
namespace {

constexpr gpu::Program kAdafactorProgram{"optim/adafactor.cu", &kernel_texts};

gpu::Kernel adafactor_kernel(const char* entry) { return {&kAdafactorProgram, "", entry}; }

// Rows of the tables and lengths of the buffers.
struct Layout {
  std::vector<AdafactorGpuPart> parts;
  std::vector<AdafactorGpuTile> tiles;
  std::vector<AdafactorGpuLines> lines;
  std::int64_t num_statistics = 0, num_row_sums = 0, num_column_sums = 0;
};

void add_factored(Layout& layout, AdafactorGpuPart& part) {
  const auto number = static_cast<long long>(layout.parts.size());
  const auto take = [](std::int64_t& total, std::int64_t count) {
    total += count;
    return total - count;
  };
  part.row = take(layout.num_statistics, part.rows);
  part.column = take(layout.num_statistics, part.columns);
  part.row_sums =
      take(layout.num_row_sums, part.rows * ops::blocks_for(part.columns, kTileColumns));
  part.column_sums =
      take(layout.num_column_sums, part.columns * ops::blocks_for(part.rows, kTileRows));
  for_each_piece(0, part.rows, kTileRows, [&](std::int64_t row, std::int64_t) {
    for_each_piece(0, part.columns, kTileColumns, [&](std::int64_t column, std::int64_t) {
      layout.tiles.push_back({number, row, column});
    });
  });
  part.first_lines = static_cast<long long>(layout.lines.size());
  part.num_row_lines = ops::blocks_for(part.rows, kGpuLines);
  for (const long long of_columns : {0, 1})
    for_each_piece(0, of_columns ? part.columns : part.rows, kGpuLines,
                   [&](std::int64_t first, std::int64_t) {
                     layout.lines.push_back({number, first, of_columns});
                   });
}

void add(Layout& layout, const AdafactorConfig& config, const ops::ParameterSpec& spec,
         std::int64_t offset) {
  AdafactorGpuPart part{.offset = offset, .rows = 1, .columns = spec.num_elements()};
  part.first_tile = static_cast<long long>(layout.tiles.size());
  if (is_factored(config, spec)) {
    part.factored = 1;
    part.rows = spec.shape[0];
    part.columns = spec.shape[1];
    add_factored(layout, part);
  } else {
    part.row = layout.num_statistics;
    layout.num_statistics += part.columns;
    const auto number = static_cast<long long>(layout.parts.size());
    for_each_piece(0, part.columns, kGpuPiece, [&](std::int64_t first, std::int64_t) {
      layout.tiles.push_back({number, 0, first});
    });
  }
  part.num_tiles = static_cast<long long>(layout.tiles.size()) - part.first_tile;
  layout.parts.push_back(part);
}

template <class Row>
std::int64_t count(const std::vector<Row>& rows) {
  return static_cast<std::int64_t>(rows.size());
}

}  // namespace

AdafactorGpu::AdafactorGpu(gpu::Device& device, const AdafactorConfig& config,
                           ops::Parameters& parameters, const at::Tensor& statistics)
    : device_(device), parameters_(parameters), statistics_(statistics) {
  Layout layout;
  for (const ops::Parameters::Named& parameter : parameters.named())
    add(layout, config, *parameter.spec, parameter.offset);
  invariant(layout.num_statistics == statistics.numel(),
            "AdafactorGpu: the layout of the statistics matches");
  num_parts_ = count(layout.parts);
  num_tiles_ = count(layout.tiles);
  num_lines_ = count(layout.lines);

  const at::Device memory = parameters.master().device();
  constants_ = table_of<AdafactorConstants>({{.clip_norm = config.clip_norm,
                                              .max_norm = kMaxNorm,
                                              .decay_rate = config.decay_rate,
                                              .clip_update = config.clip_update,
                                              .eps = config.eps,
                                              .min_scale = config.min_scale}},
                                            memory);
  parts_ = table_of(layout.parts, memory);
  tiles_ = table_of(layout.tiles, memory);
  lines_ = table_of(layout.lines, memory);
  coefficients_ = table_for<AdafactorGpuCoefficients>(1, memory);
  const auto buffer = [&](std::int64_t n, at::ScalarType type) {
    return at::zeros({n}, at::TensorOptions().device(memory).dtype(type));
  };
  for (at::Tensor* of_tiles : {&gradient_squares_, &weight_squares_, &update_squares_})
    *of_tiles = buffer(num_tiles_, at::kDouble);
  row_sums_ = buffer(layout.num_row_sums, at::kDouble);
  column_sums_ = buffer(layout.num_column_sums, at::kDouble);
  row_totals_ = buffer(num_lines_, at::kDouble);
  steps_ = buffer(num_parts_, at::kFloat);
}

void AdafactorGpu::launch(const GpuUpdate& update) {
  const gpu::Grid per_tile{.x = num_tiles_, .threads = kGpuThreads};
  gpu::launch(device_, adafactor_kernel("measure"), per_tile, parts_.const_data_ptr(),
              tiles_.const_data_ptr(), parameters_.gradient().const_data_ptr(),
              parameters_.master().const_data_ptr(), gradient_squares_.const_data_ptr(),
              weight_squares_.const_data_ptr(), row_sums_.const_data_ptr(),
              column_sums_.const_data_ptr());
  gpu::launch(device_, adafactor_kernel("prepare"), {.threads = kGpuPrepareThreads},
              constants_.const_data_ptr(), gradient_squares_.const_data_ptr(), num_tiles_,
              scalar_pointer(update.lr), scalar_pointer(update.loss),
              scalar_pointer(update.loss_limit), scalar_pointer(update.norm_limit),
              scalar_pointer(update.num_updates), scalar_pointer(update.grad_norm),
              update.applied.const_data_ptr(), coefficients_.const_data_ptr());
  launch_statistics();
  launch_step();
}

// Row and column means, the moments of unfactored parameters, and the size of each step.
void AdafactorGpu::launch_statistics() {
  gpu::launch(device_, adafactor_kernel("statistics"), {.x = num_lines_, .threads = kGpuThreads},
              parts_.const_data_ptr(), lines_.const_data_ptr(), coefficients_.const_data_ptr(),
              constants_.const_data_ptr(), row_sums_.const_data_ptr(),
              column_sums_.const_data_ptr(), statistics_.const_data_ptr(),
              row_totals_.const_data_ptr());
  gpu::launch(device_, adafactor_kernel("squares"), {.x = num_tiles_, .threads = kGpuThreads},
              parts_.const_data_ptr(), tiles_.const_data_ptr(), coefficients_.const_data_ptr(),
              constants_.const_data_ptr(), parameters_.gradient().const_data_ptr(),
              statistics_.const_data_ptr(), row_totals_.const_data_ptr(),
              update_squares_.const_data_ptr());
  gpu::launch(device_, adafactor_kernel("steps"), {.x = num_parts_, .threads = kGpuThreads},
              parts_.const_data_ptr(), coefficients_.const_data_ptr(), constants_.const_data_ptr(),
              weight_squares_.const_data_ptr(), update_squares_.const_data_ptr(),
              steps_.const_data_ptr());
}

void AdafactorGpu::launch_step() {
  gpu::launch(device_, adafactor_kernel("step"), {.x = num_tiles_, .threads = kGpuThreads},
              parts_.const_data_ptr(), tiles_.const_data_ptr(), coefficients_.const_data_ptr(),
              statistics_.const_data_ptr(), row_totals_.const_data_ptr(), steps_.const_data_ptr(),
              parameters_.master().const_data_ptr(), parameters_.gradient().const_data_ptr(),
              compute_copy_of(parameters_));
}

std::uint64_t AdafactorGpu::buffer_bytes() const {
  std::uint64_t bytes = 0;
  for (const at::Tensor& buffer : {parts_, tiles_, lines_, gradient_squares_, weight_squares_,
                                   update_squares_, row_sums_, column_sums_, row_totals_, steps_})
    bytes += buffer.nbytes();
  return bytes;
}

std::uint64_t gpu_buffer_bytes(const AdafactorConfig& config, const ops::Parameters& parameters) {
  Layout layout;
  for (const ops::ParameterSpec* spec : parameters.specs()) add(layout, config, *spec, 0);
  const auto bytes = [](const auto& rows) { return rows.size() * sizeof(rows[0]); };
  const std::int64_t doubles =
      3 * count(layout.tiles) + count(layout.lines) + layout.num_row_sums + layout.num_column_sums;
  return bytes(layout.parts) + bytes(layout.tiles) + bytes(layout.lines) +
         static_cast<std::uint64_t>(doubles) * sizeof(double) + layout.parts.size() * sizeof(float);
}

}  // namespace sluice::optim
