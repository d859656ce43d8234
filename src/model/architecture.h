// The interface of an architecture: its config header declares an overload of every function in the
// concept below. A missing overload is a compile error. Architectures: see model/model_config.h.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/activation_memory.h"
#include "model/stack_sizes.h"

namespace sluice::model {

class LanguageModel;

// Sequence lengths of a model.
struct Sequences {
  // For a decoder: inputs and targets have the same length.
  Sequences(std::int64_t window) : inputs(window), targets(window) {}
  // For an encoder-decoder. `start`: the decoder's input before the first target.
  Sequences(std::int64_t num_inputs, std::int64_t num_targets, std::int64_t start)
      : inputs(num_inputs), targets(num_targets), start_id(start) {}
  std::int64_t inputs, targets;
  std::optional<std::int64_t> start_id;
};

// FLOPs per target token of a training step (forward and backward), without the matrix products of
// the blocks. Those are derived from the parameters: a matrix multiplies one row per target token,
// or `inputs_per_target` rows if it is applied to the inputs.
struct FlopTerms {
  double head = 0, attention = 0;  // head matrix; attention scores and weighted sums
  double inputs_per_target = 1;
  // by logical name; null: false for all matrices
  bool (*reads_inputs)(std::string_view parameter) = nullptr;
};

// Values that `auto` depends on.
struct Facts {
  std::int64_t vocab_size = 0;  // of the tokenizer, including sentinels
  std::int64_t sequence_length = 0;
};

// A field that limits the sequence length.
struct LengthLimit {
  std::string_view field;  // below `model`
  std::int64_t length = 0;
};

template <class C>
concept Architecture = requires(const C& c, C& to_resolve, std::int64_t n,
                                const Sequences& sequences, const Facts& facts) {
  // True if inputs and targets are the same positions of one text, false if they are two sequences
  // (encoder-decoder). The objective must match.
  { shares_positions(c) } -> std::same_as<bool>;
  { length_limit(c) } -> std::same_as<std::optional<LengthLimit>>;
  // Resolves every `auto` and `match`, to the values of the second configuration (that of a resumed
  // run) unless it is null.
  { resolve(to_resolve, &c, facts) } -> std::same_as<void>;
  { vocabulary_rows(c, n) } -> std::same_as<std::int64_t>;
  { expected_vocabulary(c, n) } -> std::same_as<std::string>;
  { flop_terms(c, n, sequences) } -> std::same_as<FlopTerms>;
  { flops_text(c) } -> std::same_as<std::string>;
  // The last argument: bytes per element of the compute dtype.
  { activation_memory(c, sequences, std::uint64_t{}) } -> std::same_as<ActivationMemory>;
  // In the order of the forward pass; the loss is of the last one.
  { stacks_of(c, sequences) } -> std::same_as<std::vector<StackSizes>>;
  { make(c, n, sequences) } -> std::same_as<std::unique_ptr<LanguageModel>>;
};

}  // namespace sluice::model
