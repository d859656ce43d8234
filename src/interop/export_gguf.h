// `sluice export --to gguf`: a model file of llama.cpp, fp32.
//
//   swiglu        architecture llama
//   squared_relu  architecture arcee
//
// llama.cpp selects the activation by architecture, so other variants would compute another
// function and are refused. It rotates adjacent elements of a head, Sluice the two halves: the rows
// of q and k are reordered. Tokenizer: SentencePiece BPE with byte fallback (`llama` there).
#pragma once

#include "interop/export_huggingface.h"
#include "interop/export_source.h"

namespace sluice::interop {

// kUsage, naming the field, for a model or tokenizer that llama.cpp cannot express, and if `out`
// exists; kInterrupted if stopped. Nothing is left then.
Exported export_gguf(const ExportRequest& request);

}  // namespace sluice::interop
