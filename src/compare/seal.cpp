#include "compare/seal.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text_format.h"
#include "base/version.h"
#include "compare/cell.h"
#include "config/names.h"
#include "store/checkpoint_store.h"
#include "store/run_directory.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTime = ",\"time\":{";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Removes `key` with its value, a number or a string without escapes, and one of its commas.
void remove_member(std::string& json, std::string_view key) {
  const std::size_t at = json.rfind(cat('"', key, "\":"));
  if (at == std::string::npos) return;
  const std::size_t end = json.find_first_of(",}", at);
  if (end == std::string::npos) return;
  if (json[end] == ',') {
    json.erase(at, end + 1 - at);
  } else {
    const std::size_t begin = at > 0 && json[at - 1] == ',' ? at - 1 : at;
    json.erase(begin, end - begin);
  }
}

// The running program; the child processes of a comparison run the same file.
const std::string& executable_hash() {
  static const std::string hash = sha256_of_file("/proc/self/exe");
  return hash;
}

std::string weights_hash(const store::RunPaths& paths, std::int64_t step) {
  const fs::path manifest =
      paths.checkpoints() / store::checkpoint_name(step) / store::kManifestName;
  if (!is_there(manifest)) return "";
  for (const store::ManifestFile& file :
       store::parse_manifest(read_file(manifest), manifest.string()).files)
    if (file.name == "model.safetensors") return file.hash.hex();
  return "";
}

std::string losses_hash(const store::RunPaths& paths) {
  return sha256_of(untimed_metrics(read_file(paths.metrics())));
}
std::string result_hash(const store::RunPaths& paths) {
  return sha256_of(untimed_result(read_file(paths.result())));
}

std::string settings_text(const report::Settings& settings) {
  std::string text;
  for (const auto& [key, value] : settings)
    text += cat(' ', printable(key, std::string::npos), '=', printable(value, std::string::npos));
  return text;
}

std::string line(std::string_view key, const auto& value) {
  return cat("  ", key, ' ', value, '\n');
}
std::string line(std::string_view key, const std::string& value) {
  return cat("  ", key, ' ', value.empty() ? "none" : printable(value, std::string::npos), '\n');
}

std::string first_lines(const report::Settings& settings, std::uint64_t seed,
                        std::string_view state) {
  return cat("cell", settings_text(settings), " seed=", seed, '\n', line("state", state));
}

// Adds "KEY: received A; expected B" if the values differ.
void compare_values(std::vector<std::string>& faults, std::string_view subject,
                    const std::string& received, const std::string& expected) {
  if (received != expected)
    faults.push_back(cat(subject, ": received ", received.empty() ? "none" : received,
                         "; expected ", expected.empty() ? "none" : expected,
                         ", as sealed when the run ended"));
}

}  // namespace

std::string untimed_metrics(std::string_view metrics) {
  std::string text;
  while (!metrics.empty()) {
    const std::size_t end = std::min(metrics.find('\n'), metrics.size());
    const std::string_view one = metrics.substr(0, end);
    const std::size_t time = one.find(kTime);
    text += one.substr(0, time);
    if (time != std::string_view::npos) text += '}';
    if (end < metrics.size()) text += '\n';
    metrics.remove_prefix(std::min(end + 1, metrics.size()));
  }
  return text;
}

std::string untimed_result(std::string_view result) {
  std::string text(result);
  remove_member(text, "training_seconds");
  remove_member(text, "seal_xxh3_128");
  return text;
}

CellSeal make_seal(const CellRecord& record, const Cell& cell) {
  const store::RunPaths paths{cell.run_dir()};
  CellSeal seal{.program = record.build,
                .executable = executable_hash(),
                .numerics = kNumericsVersion,
                .data = cell.facts.data_fingerprint,
                .tokenizer = cell.facts.tokenizer_hash,
                .held_out = cell.facts.held_out_hash};
  if (is_there(paths.metrics())) seal.losses = losses_hash(paths);
  if (record.state == CellState::kFinished) {
    const store::RunResult result = store::read_run_result(paths.result());
    seal.libtorch = result.libtorch;
    seal.config = sha256_of(result.config);
    seal.steps = result.step;
    seal.tokens = result.tokens;
    seal.result = result_hash(paths);
    seal.weights = weights_hash(paths, result.step);
  }
  CellRecord sealed = record;
  sealed.seal = seal;
  seal.digest = sha256_of(seal_lines(sealed));
  return seal;
}

std::string seal_lines(const CellRecord& record) {
  std::string text = first_lines(record.settings, record.seed, config::name_of(record.state));
  if (!record.seal) return text + "  unsealed\n";
  const CellSeal& s = *record.seal;
  const ExecutionEnv& env = record.env;
  text += line("hash", record.hash) + line("remark", record.remark);
  if (!record.plan.empty()) text += line("plan", record.plan);
  text += line("program", s.program) + line("executable", s.executable);
  text += line("numerics", s.numerics) + line("libtorch", s.libtorch);
  text += line("cpu", env.cpu) + line("device", env.device) + line("gpu", env.gpu);
  text += line("precision", env.precision) + line("threads", env.threads);
  text += line("micro_batch", env.micro_batch_sequences);
  text += line("config", s.config) + line("data", s.data) + line("tokenizer", s.tokenizer);
  text += line("held_out", s.held_out) + line("steps", s.steps) + line("tokens", s.tokens);
  return text + line("losses", s.losses) + line("result", s.result) + line("weights", s.weights);
}

std::vector<std::string> seal_faults(const CellRecord& record, const fs::path& run) {
  std::vector<std::string> faults;
  if (!record.seal) return faults;
  const CellSeal& seal = *record.seal;
  const store::RunPaths paths{run};
  compare_values(faults, "cell.json", sha256_of(seal_lines(record)), seal.digest);
  const auto check = [&](const fs::path& path, const std::string& expected, const auto& hash) {
    if (expected.empty()) return;
    const std::string name = path.filename().string();
    compare_values(faults, name, is_there(path) ? hash(paths) : "no file", expected);
  };
  check(paths.metrics(), seal.losses, losses_hash);
  check(paths.result(), seal.result, result_hash);
  return faults;
}

void seal_comparison(report::Comparison& comparison) {
  std::string text =
      cat("sluice seal 1\n", "config ", sha256_of(comparison.config), '\n', "baseline",
          settings_text(comparison.variants.at(comparison.baseline).settings), '\n');
  comparison.num_unsealed = 0;
  std::size_t num_sealed = 0;
  for (const report::CellResult& cell : comparison.cells) {
    const bool is_ended = has_ended(cell.state);
    num_sealed += !cell.seal_lines.empty();
    comparison.num_unsealed += is_ended && cell.seal_lines.empty() && !cell.directory.empty();
    text += cell.seal_lines.empty()
                ? cat(first_lines(cell.settings, cell.seed, config::name_of(cell.state)),
                      is_ended ? "  unsealed\n" : "")
                : cell.seal_lines;
  }
  comparison.seal_text = num_sealed > 0 ? text : "";
  comparison.seal = num_sealed > 0 ? sha256_of(text) : "";
}

}  // namespace sluice::compare
