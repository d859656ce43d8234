#include "interop/model_card.h"

#include <cmath>
#include <filesystem>
#include <optional>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/config.h"
#include "run/places.h"
#include "store/run_result.h"
#include "train/metrics.h"
#include "train/metrics_lines.h"

namespace sluice::interop {
namespace {

namespace fs = std::filesystem;

struct Held {
  store::HeldOutFigures figures;
  std::uint64_t num_tokens = 0;
};

// The evaluation of this step, if the run has one. A damaged file is not an obstacle to an export.
std::optional<Held> held_out_of(const store::RunPaths& run, std::int64_t step) {
  std::error_code ignored;
  try {
    if (fs::exists(run.result(), ignored)) {
      const store::RunResult result = store::read_run_result(run.result());
      if (result.step == step) return Held{result.figures, result.num_targets};
    }
    if (!fs::exists(run.metrics(), ignored)) return std::nullopt;
    std::optional<Held> held;
    for (const train::EvaluationLine& one : train::read_evaluations(run.metrics()))
      if (one.step == step) held = Held{one.eval.figures, one.eval.num_tokens};
    return held;
  } catch (const UserError&) {
    return std::nullopt;
  }
}

std::string usage_text(const Layout& layout, const ModelFacts& facts) {
  const bool has_encoder = facts.decoder_start.has_value();
  const std::string_view kind = has_encoder ? "AutoModelForSeq2SeqLM" : "AutoModelForCausalLM";
  const std::string_view prompt = has_encoder ? "You may <extra_id_0> copies." : "In the beginning";
  return cat("```python\nfrom transformers import ", kind, ", AutoTokenizer\n",
             "tokenizer = AutoTokenizer.from_pretrained(\"FOLDER\")\nmodel = ", kind,
             ".from_pretrained(\"FOLDER\")\ninputs = tokenizer(\"", prompt,
             "\", return_tensors=\"pt\")\n",
             "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=50)[0]))\n```\n\n",
             has_encoder || !facts.eos
                 ? ""
                 : "In training, a document follows an end token. `sluice generate` puts one "
                   "before the prompt; the tokenizer does not.\n",
             "Class: `", layout.class_name, "`. `python check_export.py` compares its logits with ",
             "those of Sluice, stored in `selftest.safetensors`.\n");
}

std::string figure_text(const std::optional<double>& value, int digits) {
  constexpr double kLargestShown = 1e6;
  if (!value) return "-";
  return *value < kLargestShown ? fixed(*value, digits) : cat("e^", fixed(std::log(*value), 1));
}

std::string perplexity_text(const std::optional<Held>& held) {
  if (!held || !held->figures.log_perplexity) return "Not measured at this step.\n";
  const store::HeldOutFigures& f = held->figures;
  return cat("| | |\n|---|---|\n| log-perplexity | ", figure_text(f.log_perplexity, 4),
             " nats per token |\n| perplexity | ", figure_text(f.perplexity, 2),
             " |\n| bits per byte | ", figure_text(f.bits_per_byte, 4),
             " |\n| perplexity per word | ", figure_text(f.word_perplexity, 2), " |\n\nOver ",
             with_commas(static_cast<std::int64_t>(held->num_tokens)),
             " held-out tokens. log-perplexity: the mean of -ln p(token | context) over all "
             "tokens of the held-out set, each scored once. perplexity: its exponential. bits per "
             "byte: the sum in bits, divided by the bytes of the text. perplexity per word: the "
             "exponential of the sum divided by the number of words (maximal runs of "
             "non-whitespace).\n");
}

std::string data_text(const ExportSource& source, const std::optional<train::RunConfig>& own) {
  const text::CorpusConfig& corpus = own ? own->corpus : source.config.corpus;
  std::string files;
  if (own)
    for (const std::string& path : corpus.train)
      files += cat(files.empty() ? "" : ", ", "`", printable(path, 200), "`");
  return cat("Training text: ", files.empty() ? "not recorded" : files,
             corpus.valid.empty() ? cat("; held out: ", shortest(corpus.holdout),
                                        corpus.holdout < 1 ? " of the documents" : " documents")
                                  : "; held-out text from other files",
             ".\n", "Fingerprint of the data: `",
             source.state.fingerprint.empty() ? "none" : source.state.fingerprint, "`.\n");
}

// The table of the comparison DIR for a run in DIR/cells/NAME/run; empty if there is none.
std::string comparison_text(const std::optional<store::RunPaths>& run) {
  if (!run) return "";
  const fs::path cell = run->root.parent_path(), directory = cell.parent_path().parent_path();
  std::error_code ignored;
  if (!fs::exists(directory / "comparison.json", ignored)) return "";
  std::string text = cat("\n## Comparison\n\nRun `", cell.filename().string(),
                         "` of the comparison `", directory.filename().string(), "`.\n");
  constexpr std::uint64_t kMaxTableBytes = 64 << 10;
  const fs::path table = directory / "table.md";
  if (fs::exists(table, ignored) && fs::file_size(table, ignored) < kMaxTableBytes)
    text += cat("\n", read_file(table, kMaxTableBytes));
  return text;
}

}  // namespace

std::string model_card(const ExportSource& source, const Layout& layout) {
  const std::int64_t step = source.checkpoint.manifest.step;
  const bool has_encoder = source.facts.decoder_start.has_value();
  const std::optional<train::RunConfig> own =
      source.run ? run::own_config(*source.run) : std::nullopt;
  const std::optional<Held> held = source.run ? held_out_of(*source.run, step) : std::nullopt;
  // Neither data nor settings of its training are known.
  const bool is_imported = source.state.fingerprint.empty();
  const std::string ffn(std::visit([](const auto& c) { return c.ffn->name; }, source.config.model));
  return cat(
      "---\nlibrary_name: transformers\npipeline_tag: ",
      has_encoder ? "text2text-generation" : "text-generation", "\ntags: [sluice, ", ffn,
      "]\n---\n\n# ", printable(source.config.run.name, 200), "\n\nA ",
      has_encoder ? "T5 encoder-decoder" : "decoder-only Transformer",
      " with the feed-forward layer ", ffn, ", ",
      with_commas(source.model->parameters().num_parameters()), " parameters, ",
      is_imported ? cat("imported by Sluice ", build_name())
                  : cat("trained for ", with_commas(step), " steps with Sluice ", build_name()),
      ".\n\n", usage_text(layout, source.facts), "\n## Held-out perplexity\n\n",
      perplexity_text(held), is_imported ? "" : cat("\n## Data\n\n", data_text(source, own)),
      comparison_text(source.run),
      is_imported
          ? ""
          : cat("\n## Settings\n\n```yaml\n",
                config::to_yaml(own.value_or(source.config), config::Comments::kNone), "```\n"));
}

}  // namespace sluice::interop
