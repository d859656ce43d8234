// kind_differences and reproduction_faults of audit.h.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "compare/audit.h"
#include "store/metrics_log.h"
#include "store/run_directory.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

using MetricsJson = nlohmann::ordered_json;

void add_if_different(std::vector<std::string>& differences, std::string_view name,
                      const std::string& repeated, const std::string& original) {
  if (repeated != original)
    differences.push_back(cat(name, ' ', repeated.empty() ? "none" : repeated, " instead of ",
                              original.empty() ? "none" : original));
}

std::string member_text(const MetricsJson& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() ? "none" : found->dump();
}

// "step 3: loss: received 4.1; expected 4.2" for the first key that differs in two lines.
std::string line_fault(const std::string& repeated, const std::string& original) {
  const MetricsJson ours = MetricsJson::parse(repeated, nullptr, false),
                    theirs = MetricsJson::parse(original, nullptr, false);
  if (!ours.is_object() || !theirs.is_object())
    return cat("received `", printable(repeated, 80), "`; expected `", printable(original, 80),
               "`");
  for (const auto& [key, value] : theirs.items()) {
    if (!value.is_object() && member_text(ours, key) != value.dump())
      return cat("step ", member_text(theirs, "step"), ": ", key, ": received ",
                 member_text(ours, key), "; expected ", value.dump());
    if (!value.is_object() || !ours.contains(key) || !ours[key].is_object()) continue;
    for (const auto& [inner, figure] : value.items())
      if (member_text(ours[key], inner) != figure.dump())
        return cat("step ", member_text(theirs, "step"), ": ", key, '.', inner, ": received ",
                   member_text(ours[key], inner), "; expected ", figure.dump());
  }
  return cat("received `", printable(repeated, 80), "`; expected `", printable(original, 80), "`");
}

// The first difference between two metrics.jsonl, clock readings apart; empty if there is none.
std::string metrics_fault(const std::filesystem::path& repeated,
                          const std::filesystem::path& original) {
  const std::string ours = untimed_metrics(read_file(repeated)),
                    theirs = untimed_metrics(read_file(original));
  if (ours == theirs) return "";
  std::size_t a = 0, b = 0;
  while (a < ours.size() && b < theirs.size()) {
    const std::size_t end_a = std::min(ours.find('\n', a), ours.size()),
                      end_b = std::min(theirs.find('\n', b), theirs.size());
    const std::string one = ours.substr(a, end_a - a), other = theirs.substr(b, end_b - b);
    if (one != other) return cat("metrics.jsonl: ", line_fault(one, other));
    a = end_a + 1;
    b = end_b + 1;
  }
  return "metrics.jsonl: another number of lines";
}

void exact_faults(const RunPair& pair, std::vector<std::string>& faults) {
  const store::RunPaths repeated{pair.repeated_run}, original{pair.original_run};
  if (std::string fault = metrics_fault(repeated.metrics(), original.metrics()); !fault.empty())
    faults.push_back(std::move(fault));
  const store::RunResult ours = store::read_run_result(repeated.result()),
                         theirs = store::read_run_result(original.result());
  const auto figure = [&](std::string_view name, std::optional<double> a, std::optional<double> b) {
    if (a != b)
      faults.push_back(cat("result.json: ", name, ": received ", a ? shortest(*a) : "none",
                           "; expected ", b ? shortest(*b) : "none"));
  };
  figure("log_perplexity", ours.figures.log_perplexity, theirs.figures.log_perplexity);
  figure("bits_per_byte", ours.figures.bits_per_byte, theirs.figures.bits_per_byte);
  if (faults.empty() &&
      untimed_result(read_file(repeated.result())) != untimed_result(read_file(original.result())))
    faults.push_back("result.json: differs outside its metrics");
  const std::string weights = pair.original.seal ? pair.original.seal->weights : "",
                    again = pair.repeated.seal ? pair.repeated.seal->weights : "";
  if (!weights.empty() && !again.empty() && weights != again)
    faults.push_back(cat("weights: received ", again, "; expected ", weights));
}

// The training losses by step, up to `last`.
std::vector<double> early_losses(const std::filesystem::path& metrics, std::int64_t last) {
  std::vector<double> losses;
  store::read_metrics(metrics, [&](std::int64_t step, const MetricsJson& line) {
    const auto loss = line.find("loss");
    if (step > 0 && step <= last && loss != line.end() && loss->is_number())
      losses.push_back(loss->get<double>());
  });
  return losses;
}

void approximate_faults(const RunPair& pair, std::vector<std::string>& faults) {
  const AuditLimits limits = audit_limits(pair.original.env.precision, pair.seed_std);
  const store::RunPaths repeated{pair.repeated_run}, original{pair.original_run};
  const std::vector<double> ours = early_losses(repeated.metrics(), kEarlySteps),
                            theirs = early_losses(original.metrics(), kEarlySteps);
  if (ours.size() != theirs.size())
    faults.push_back(
        cat("metrics.jsonl: received ", ours.size(), " early losses; expected ", theirs.size()));
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    if (std::abs(ours[i] - theirs[i]) <= limits.early_loss) continue;
    faults.push_back(cat("metrics.jsonl: step ", i + 1, ": loss: received ", shortest(ours[i]),
                         "; expected ", shortest(theirs[i]), " within ",
                         shortest(limits.early_loss)));
    break;
  }
  const auto a = store::read_run_result(repeated.result()).figures.log_perplexity,
             b = store::read_run_result(original.result()).figures.log_perplexity;
  if (a && b && std::abs(*a - *b) <= limits.held_out) return;
  faults.push_back(cat("result.json: log_perplexity: received ", a ? shortest(*a) : "none",
                       "; expected ", b ? shortest(*b) : "none", " within ",
                       shortest(limits.held_out)));
}

}  // namespace

AuditLimits audit_limits(const std::string& precision, double seed_std) {
  AuditLimits limits = precision == "bf16" ? AuditLimits{.early_loss = 1e-3, .held_out = 0.02}
                                           : AuditLimits{.early_loss = 1e-6, .held_out = 0.01};
  limits.held_out = std::max(limits.held_out, seed_std);
  return limits;
}

std::vector<std::string> kind_differences(const RunPair& pair) {
  std::vector<std::string> differences;
  const ExecutionEnv &ours = pair.repeated.env, &theirs = pair.original.env;
  const bool portable = ours.portable && theirs.portable;
  if (!portable) add_if_different(differences, "processor", ours.cpu, theirs.cpu);
  add_if_different(differences, "device", ours.device, theirs.device);
  add_if_different(differences, "GPU", ours.gpu, theirs.gpu);
  add_if_different(differences, "precision", ours.precision, theirs.precision);
  if (!portable) add_if_different(differences, "threads", cat(ours.threads), cat(theirs.threads));
  add_if_different(differences, "micro-batch", cat(ours.micro_batch_sequences),
                   cat(theirs.micro_batch_sequences));
  if (!theirs.repeatable) differences.emplace_back("a GPU with train.deterministic: false");
  const store::RunResult a = store::read_run_result({pair.repeated_run / "result.json"}),
                         b = store::read_run_result({pair.original_run / "result.json"});
  add_if_different(differences, "LibTorch", a.libtorch, b.libtorch);
  add_if_different(differences, "program", pair.repeated.build, pair.original.build);
  if (pair.repeated.build == pair.original.build && pair.original.seal && pair.repeated.seal)
    add_if_different(differences, "executable", pair.repeated.seal->executable,
                     pair.original.seal->executable);
  return differences;
}

std::vector<std::string> reproduction_faults(const RunPair& pair) {
  std::vector<std::string> faults;
  const store::RunResult ours = store::read_run_result(pair.repeated_run / "result.json"),
                         theirs = store::read_run_result(pair.original_run / "result.json");
  const auto check = [&](std::string_view name, const std::string& a, const std::string& b) {
    if (a != b) faults.push_back(cat("result.json: ", name, ": received ", a, "; expected ", b));
  };
  check("data_fingerprint", ours.data_fingerprint, theirs.data_fingerprint);
  check("tokenizer_hash", ours.tokenizer_hash, theirs.tokenizer_hash);
  check("step", cat(ours.step), cat(theirs.step));
  check("tokens", cat(ours.tokens), cat(theirs.tokens));
  if (kind_differences(pair).empty()) {
    exact_faults(pair, faults);
  } else {
    approximate_faults(pair, faults);
  }
  return faults;
}

}  // namespace sluice::compare
