#include "optim/adafactor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "ops/choose.h"
#include "optim/adafactor_gpu.h"
#include "optim/pieces.h"
#include "optim/update_guard.h"

namespace sluice::optim {
namespace {

// Each piece keeps its own column sums; with this many rows they are small next to the matrix.
constexpr std::int64_t kMinRows = 64;

std::int64_t rows_of_piece(std::int64_t num_columns) {
  return std::max(kMinRows, kPieceElements / num_columns);
}

double rms(double squares, std::int64_t count) {
  return std::sqrt(squares / static_cast<double>(count));
}

at::Tensor rms(const at::Tensor& x) { return x.to(at::kDouble).square().mean().sqrt(); }

// Elements of the state and of the buffers of an update on a CPU.
struct Sizes {
  std::uint64_t statistics = 0, doubles = 0, factors = 0;
};
Sizes sizes_of(const AdafactorConfig& config, const ops::Parameters& parameters,
               const std::vector<ArenaRange>& part) {
  std::int64_t statistics = 0, doubles = 0, factors = 0;
  for (const auto& [spec, offset] : parameters.declared()) {
    if (!ops::contains(part, offset)) continue;
    if (!is_factored(config, *spec)) {
      statistics += spec->num_elements();
      continue;
    }
    const std::int64_t rows = spec->shape[0], columns = spec->shape[1],
                       per_piece = rows_of_piece(columns);
    statistics += rows + columns;
    factors += rows + columns;
    doubles += rows + columns * ((rows + per_piece - 1) / per_piece);
  }
  return {static_cast<std::uint64_t>(statistics), static_cast<std::uint64_t>(doubles),
          static_cast<std::uint64_t>(factors)};
}

}  // namespace

bool is_factored(const AdafactorConfig& config, const ops::ParameterSpec& spec) {
  invariant(spec.shape.size() <= 2, "parameters have at most 2 dimensions");
  return spec.shape.size() == 2 &&
         std::min(spec.shape[0], spec.shape[1]) >= config.factored_min_dim;
}

Adafactor::Adafactor(const AdafactorConfig& config, ops::Parameters& parameters, ops::Form form,
                     gpu::Device* device, Shards shards)
    : Optimizer(parameters, form, device, {.clip_norm = config.clip_norm, .max_norm = kMaxNorm},
                std::move(shards)),
      config_(config) {
  const auto num_statistics =
      static_cast<std::int64_t>(sizes_of(config, parameters, own()).statistics);
  statistics_ = at::zeros({num_statistics}, parameters.master().options().requires_grad(false));
  std::int64_t statistics_at = 0;
  for (const ops::Parameters::Declared& parameter : parameters.declared())
    if (owns(parameter.offset)) add_part(parameter, statistics_at);
  invariant(statistics_at == num_statistics, "Adafactor: sizes_of() matches the state");
  if (on_gpu()) gpu_ = std::make_unique<AdafactorGpu>(*device, config, parameters, statistics_);
  if (!on_cpu()) return;
  gradient_squares_.resize(pieces_.size());
  weight_squares_.resize(pieces_.size());
  update_squares_.resize(pieces_.size());
  row_factors_.resize(row_sums_.size());
}

Adafactor::~Adafactor() = default;

void Adafactor::add_part(const ops::Parameters::Declared& parameter, std::int64_t& statistics_at) {
  const auto take = [&](std::vector<std::int64_t> shape) {
    const std::int64_t count =
        std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    statistics_at += count;
    return statistics_.narrow(0, statistics_at - count, count).view(shape);
  };
  Part part{.spec = parameter.spec,
            .factored = is_factored(config_, *parameter.spec),
            .offset = parameter.offset};
  part.first_piece = pieces_.size();
  const std::size_t number = parts_.size();
  if (part.factored) {
    part.rows = parameter.spec->shape[0];
    part.columns = parameter.spec->shape[1];
    part.row = take({part.rows});
    part.column = take({part.columns});
  } else {
    part.columns = parameter.spec->num_elements();
    part.full = take(parameter.spec->shape);
  }
  if (on_cpu() && part.factored) {
    part.row_at = static_cast<std::int64_t>(row_sums_.size());
    part.column_at = static_cast<std::int64_t>(column_factors_.size());
    row_sums_.resize(row_sums_.size() + static_cast<std::size_t>(part.rows));
    column_factors_.resize(column_factors_.size() + static_cast<std::size_t>(part.columns));
    for_each_piece(
        0, part.rows, rows_of_piece(part.columns), [&](std::int64_t begin, std::int64_t end) {
          pieces_.push_back({number, begin, end, static_cast<std::int64_t>(column_sums_.size())});
          column_sums_.resize(column_sums_.size() + static_cast<std::size_t>(part.columns));
        });
  } else if (on_cpu()) {
    for_each_piece(0, part.columns, kPieceElements, [&](std::int64_t begin, std::int64_t end) {
      pieces_.push_back({number, begin, end, 0});
    });
  }
  part.end_piece = pieces_.size();
  parts_.push_back(std::move(part));
}

FactoredRows Adafactor::rows_of(const Piece& piece) {
  const Part& part = parts_[piece.part];
  const std::int64_t at = part.offset + piece.begin * part.columns;
  const bool has_copy = parameters().compute().scalar_type() == at::kBFloat16;
  return {.weight = parameters().master().data_ptr<float>() + at,
          .gradient = parameters().gradient().data_ptr<float>() + at,
          .compute = has_copy ? ops::write<ops::Bf16>(parameters().compute()) + at : nullptr,
          .row = row_factors_.data() + part.row_at + piece.begin,
          .column = column_factors_.data() + part.column_at,
          .num_rows = piece.end - piece.begin,
          .num_columns = part.columns};
}

FullPiece Adafactor::elements_of(const Piece& piece) {
  const Part& part = parts_[piece.part];
  const std::int64_t at = part.offset + piece.begin;
  const bool has_copy = parameters().compute().scalar_type() == at::kBFloat16;
  return {.weight = parameters().master().data_ptr<float>() + at,
          .gradient = parameters().gradient().data_ptr<float>() + at,
          .compute = has_copy ? ops::write<ops::Bf16>(parameters().compute()) + at : nullptr,
          .v = part.full.data_ptr<float>() + piece.begin,
          .n = piece.end - piece.begin};
}

// First pass: sums for the update guard and the statistics. Changes no weight or state.
void Adafactor::measure(const Piece& piece, std::size_t i) {
  const Part& part = parts_[piece.part];
  const std::int64_t width = part.factored ? part.columns : 1,
                     count = (piece.end - piece.begin) * width;
  const std::int64_t at = part.offset + piece.begin * width;
  const float* gradient = parameters().gradient().const_data_ptr<float>() + at;
  const float* weight = parameters().master().const_data_ptr<float>() + at;
  ops::run_kernel<SumOfSquares, const float*, std::int64_t, double*>(weight, count,
                                                                     &weight_squares_[i]);
  if (!part.factored) {
    ops::run_kernel<SumOfSquares, const float*, std::int64_t, double*>(gradient, count,
                                                                       &gradient_squares_[i]);
    return;
  }
  double* rows = row_sums_.data() + part.row_at + piece.begin;
  ops::run_kernel<RowAndColumnSquares, const float*, std::int64_t, std::int64_t, double*, double*>(
      gradient, piece.end - piece.begin, part.columns, rows,
      column_sums_.data() + piece.columns_at);
  gradient_squares_[i] = std::accumulate(rows, rows + (piece.end - piece.begin), 0.0);
}

// Updates the row and column means of a factored matrix and the gradient factors from them.
void Adafactor::update_factored_statistics(const Part& part, double beta, double clip) {
  const auto update_mean = [&](float& statistic, double sum, std::int64_t count) {
    const double mean = clip * clip * sum / static_cast<double>(count) + config_.eps;
    statistic = static_cast<float>(beta * static_cast<double>(statistic) + (1 - beta) * mean);
  };
  float* row = part.row.data_ptr<float>();
  double row_mean = 0;
  for (std::int64_t i = 0; i < part.rows; ++i) {
    update_mean(row[i], row_sums_[static_cast<std::size_t>(part.row_at + i)], part.columns);
    row_mean += static_cast<double>(row[i]) / static_cast<double>(part.rows);
  }
  for (std::int64_t i = 0; i < part.rows; ++i)
    row_factors_[static_cast<std::size_t>(part.row_at + i)] =
        static_cast<float>(std::sqrt(row_mean / static_cast<double>(row[i])));

  std::vector<double> sums(static_cast<std::size_t>(part.columns));
  for (std::size_t piece = part.first_piece; piece < part.end_piece; ++piece)
    for (std::size_t j = 0; j < sums.size(); ++j)
      sums[j] += column_sums_[static_cast<std::size_t>(pieces_[piece].columns_at) + j];
  float* column = part.column.data_ptr<float>();
  for (std::size_t j = 0; j < sums.size(); ++j) {
    update_mean(column[j], sums[j], part.rows);
    column_factors_[static_cast<std::size_t>(part.column_at) + j] =
        static_cast<float>(clip / std::sqrt(static_cast<double>(column[j])));
  }
}

double Adafactor::step_of(const Part& part, double lr) const {
  double weight_squares = 0, update_squares = 0;
  for (std::size_t i = part.first_piece; i < part.end_piece; ++i) {
    weight_squares += weight_squares_[i];
    update_squares += update_squares_[i];
  }
  const std::int64_t count = part.rows * part.columns;
  const double excess = config_.clip_update > 0
                            ? std::max(1.0, rms(update_squares, count) / config_.clip_update)
                            : 1.0;
  return lr * std::max(config_.min_scale, rms(weight_squares, count)) / excess;
}

std::vector<double> Adafactor::gradient_squares() {
  parallel_for_each(pieces_.size(), [&](std::size_t i) { measure(pieces_[i], i); });
  return gradient_squares_;
}

std::vector<std::int64_t> Adafactor::piece_begins() const {
  std::vector<std::int64_t> begins;
  for (const Piece& piece : pieces_) {
    const Part& part = parts_[piece.part];
    begins.push_back(part.offset + piece.begin * (part.factored ? part.columns : 1));
  }
  return begins;
}

void Adafactor::apply(double lr, double clip, double num_updates) {
  const double one_minus_beta = std::pow(num_updates, -config_.decay_rate);
  parallel_for_each(parts_.size(), [&](std::size_t p) {
    if (parts_[p].factored) update_factored_statistics(parts_[p], 1 - one_minus_beta, clip);
  });
  const FullCoefficients coefficients{.clip = static_cast<float>(clip),
                                      .beta2 = static_cast<float>(1 - one_minus_beta),
                                      .one_minus_beta2 = static_cast<float>(one_minus_beta),
                                      .eps = static_cast<float>(config_.eps)};
  parallel_for_each(pieces_.size(), [&](std::size_t i) {
    if (parts_[pieces_[i].part].factored) {
      const FactoredRows rows = rows_of(pieces_[i]);
      ops::run_kernel<FactoredUpdateSquares, const FactoredRows*, double*>(&rows,
                                                                           &update_squares_[i]);
    } else {
      const FullPiece piece = elements_of(pieces_[i]);
      ops::run_kernel<FullStatistic, const FullPiece*, const FullCoefficients*, double*>(
          &piece, &coefficients, &update_squares_[i]);
    }
  });
  std::vector<double> steps;
  for (const Part& part : parts_) steps.push_back(step_of(part, lr));
  parallel_for_each(pieces_.size(), [&](std::size_t i) {
    const double step = steps[pieces_[i].part];
    if (parts_[pieces_[i].part].factored) {
      const FactoredRows rows = rows_of(pieces_[i]);
      ops::run_kernel<FactoredStep, const FactoredRows*, float>(&rows, static_cast<float>(step));
    } else {
      const FullPiece piece = elements_of(pieces_[i]);
      ops::run_kernel<FullStep, const FullPiece*, float>(&piece, static_cast<float>(step * clip));
    }
  });
}

void Adafactor::launch(const GpuUpdate& update) { gpu_->launch(update); }

// If the update is not applied, at::where keeps every old value, so state and weights stay
// bit-identical.
void adafactor_step(const AdafactorConfig& config, const AdafactorScalars& scalars,
                    const AdafactorTensors& tensors) {
  const at::ScalarType type = tensors.weight.scalar_type();
  const at::Tensor g = tensors.gradient * scalars.clip.to(type);
  const at::Tensor squares = g * g + config.eps;
  const auto update_statistic = [&](at::Tensor statistic, const at::Tensor& now) {
    const at::Tensor old = statistic.to(at::kDouble);
    const at::Tensor updated = old * (1 - scalars.one_minus_beta) + now * scalars.one_minus_beta;
    statistic.copy_(at::where(scalars.applied, updated, old));
    return statistic;
  };
  at::Tensor step;
  if (tensors.row.defined()) {
    const at::Tensor row =
        update_statistic(tensors.row, squares.mean(1, false, at::kDouble)).to(at::kDouble);
    const at::Tensor column =
        update_statistic(tensors.column, squares.mean(0, false, at::kDouble)).to(at::kDouble);
    step = g * (row.mean() / row).sqrt().to(type).unsqueeze(1) * column.rsqrt().to(type);
  } else {
    step = g / update_statistic(tensors.full, squares.to(at::kDouble)).sqrt();
  }
  at::Tensor size = scalars.lr * rms(tensors.weight).clamp_min(config.min_scale);
  if (config.clip_update > 0) size = size / (rms(step) / config.clip_update).clamp_min(1);
  at::Tensor weight = tensors.weight;
  weight.copy_(at::where(scalars.applied, weight - step * size.to(type), weight));
}

void Adafactor::apply_masked(const MaskedStep& step) {
  const AdafactorScalars scalars{.lr = step.lr,
                                 .one_minus_beta = step.num_updates.pow(-config_.decay_rate),
                                 .clip = step.clip,
                                 .applied = step.applied};
  const std::vector<ops::Parameters::Named> named = parameters().named();
  for (std::size_t p = 0; p < parts_.size(); ++p)
    adafactor_step(config_, scalars,
                   {named[p].value.detach(), named[p].gradient, parts_[p].row, parts_[p].column,
                    parts_[p].full});
}

std::vector<Optimizer::State> Adafactor::moments() {
  std::vector<State> all;
  auto next = parts_.begin();
  for (const ops::Parameters::Declared& parameter : parameters().declared()) {
    const ops::ParameterSpec& spec = *parameter.spec;
    const Part part = owns(parameter.offset) ? *next++ : Part{};
    if (is_factored(config_, spec)) {
      all.push_back(state_of("exp_avg_sq_row." + spec.name, {spec.shape[0]}, part.row, parameter));
      all.push_back(
          state_of("exp_avg_sq_col." + spec.name, {spec.shape[1]}, part.column, parameter));
    } else {
      all.push_back(state_of("exp_avg_sq." + spec.name, spec.shape, part.full, parameter));
    }
  }
  return all;
}

std::unique_ptr<Optimizer> make(const AdafactorConfig& config, ops::Parameters& parameters,
                                gpu::Device* device, Shards shards) {
  return std::make_unique<Adafactor>(config, parameters, ops::Form::kFastest, device,
                                     std::move(shards));
}

// Updates are scaled by the size of the whole parameter.
std::vector<std::int64_t> cuts_of(const AdafactorConfig&, const ops::Parameters& parameters) {
  return parameter_cuts(parameters);
}

StateSize state_size_of(const AdafactorConfig& config, const ops::Parameters& parameters,
                        const std::vector<ArenaRange>& part) {
  const Sizes of_part = sizes_of(config, parameters, part),
              of_all = sizes_of(config, parameters, parameters.whole());
  const std::uint64_t state = of_part.statistics * sizeof(float);
  return {
      .memory_bytes = state + of_part.doubles * sizeof(double) + of_part.factors * sizeof(float),
      .gpu_memory_bytes = state + gpu_buffer_bytes(config, parameters),
      .checkpoint_bytes = of_all.statistics * sizeof(float)};
}

}  // namespace sluice::optim
