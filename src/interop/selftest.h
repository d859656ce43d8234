// The self-test of an export: tokens, the reference logits, and the state after each sublayer, so
// that check_export.py can name the first one that another program computes differently.
//
// A state is compared as what the model would predict if it ended there: final norm and head
// applied to the residual stream at the last position (in an encoder, the embedding instead of the
// head). Sluice computes this from the whole model with the output matrices of all later sublayers
// of the stack set to zero.
#pragma once

#include <cstdint>
#include <optional>

#include "interop/layout.h"
#include "interop/tensors.h"
#include "model/language_model.h"
#include "store/safetensors.h"

namespace sluice::interop {

inline constexpr std::int64_t kSelfTestTokens = 64;

// Tensors of selftest.safetensors:
//   input_ids [1, T]           int64, T = 64 or the context length
//   decoder_input_ids [1, T]   of an encoder-decoder
//   logits [T, V]              fp32
//   points [P, V]              fp32, before each norm of the model in order of execution
// Metadata `points`: the modules of those norms in transformers, separated by blanks.
struct SelfTest {
  HostTensors tensors;
  store::Metadata metadata;
};

struct SelfTestSettings {
  std::int64_t vocab_size = 0;      // ids are drawn from 0 ... vocab_size − 1
  std::int64_t context_length = 0;  // of the model
  // of an encoder-decoder: the decoder's first input
  std::optional<std::int64_t> decoder_start;
};

// The model computes in fp32 on the CPU. Its weights are changed and restored.
SelfTest make_selftest(const Layout& layout, model::LanguageModel& model,
                       const SelfTestSettings& settings);

}  // namespace sluice::interop
