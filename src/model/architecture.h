// What the rest of the program asks of an architecture. The config header of each one declares an overload of every function of the
// concept below; a forgotten overload does not compile. model/model_config.h lists the architectures.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::model {

class LanguageModel;

// The sequences a model is made for.
struct Sequences {
  // Of a decoder: as many targets as inputs.
  Sequences(std::int64_t window) : inputs(window), targets(window) {}
  // Of an encoder-decoder. `start`: the token that its decoder reads before the first target.
  Sequences(std::int64_t num_inputs, std::int64_t num_targets, std::int64_t start)
      : inputs(num_inputs), targets(num_targets), start_id(start) {}
  std::int64_t inputs, targets;
  std::optional<std::int64_t> start_id;
};

// FLOPs of a training step per target token, forward and backward, but for the products of the matrices in the blocks: those follow
// from the parameters, each matrix multiplying one row per target token, or `rows_of_inputs` where it reads the inputs.
struct FlopsBesideMatrices {
  double head = 0, attention = 0;  // the head's product; scores and weighted sums
  double rows_of_inputs = 1;
  bool (*reads_inputs)(std::string_view parameter) = nullptr;  // by logical name; null: no matrix does
};

template <class C>
concept Architecture = requires(const C& c, std::int64_t n, const Sequences& sequences) {
  { vocabulary_rows(c, n) } -> std::same_as<std::int64_t>;
  { expected_vocabulary(c, n) } -> std::same_as<std::string>;
  { flops_beside_matrices(c, n, sequences) } -> std::same_as<FlopsBesideMatrices>;
  { flops_text(c) } -> std::same_as<std::string>;
  { make(c, n, sequences) } -> std::same_as<std::unique_ptr<LanguageModel>>;
};

}  // namespace sluice::model
