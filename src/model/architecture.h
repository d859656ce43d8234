// What the rest of the program asks of an architecture. The config header of each one declares an overload of every function of the
// concept below; a forgotten overload does not compile. model/model_config.h lists the architectures.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model/activation_memory.h"

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

// What `auto` depends on.
struct Facts {
  std::int64_t vocab_size = 0;  // the tokenizer's, sentinels included
  std::int64_t sequence_length = 0;
};

// A field that bounds the sequence length.
struct LengthLimit {
  std::string_view field;  // below `model`
  std::int64_t length = 0;
};

template <class C>
concept Architecture = requires(const C& c, C& to_resolve, std::int64_t n, const Sequences& sequences, const Facts& facts) {
  // Inputs and targets are the same positions of one text; else they are two sequences, as of an encoder-decoder. An objective must
  // give what the architecture takes.
  { shares_positions(c) } -> std::same_as<bool>;
  { length_limit(c) } -> std::same_as<std::optional<LengthLimit>>;
  // Decides every `auto` and `match`; as in the second one, of the run that goes on, where that is not null.
  { resolve(to_resolve, &c, facts) } -> std::same_as<void>;
  { vocabulary_rows(c, n) } -> std::same_as<std::int64_t>;
  { expected_vocabulary(c, n) } -> std::same_as<std::string>;
  { flops_beside_matrices(c, n, sequences) } -> std::same_as<FlopsBesideMatrices>;
  { flops_text(c) } -> std::same_as<std::string>;
  // The number: bytes of an element of the compute dtype.
  { activation_memory(c, sequences, std::uint64_t{}) } -> std::same_as<ActivationMemory>;
  { make(c, n, sequences) } -> std::same_as<std::unique_ptr<LanguageModel>>;
};

}  // namespace sluice::model
