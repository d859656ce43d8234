#include "train/state_json.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text_format.h"
#include "train/divergence.h"

namespace sluice::train {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no NaN and no infinity: they become null, and null becomes NaN. Such a step was not applied: its numbers are not used again.
double number_or_nan(const Json& value) { return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>(); }

class Reader {
 public:
  Reader(std::string_view text, const std::string& source) : source_(source) {
    json_ = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json_.is_object()) refuse("train state", "a JSON object");
  }
  const Json& take(const char* key) {
    const auto found = json_.find(key);
    if (found == json_.end()) refuse(key, "this key");
    ++num_taken_;
    return *found;
  }
  std::int64_t count(const char* key) {
    const Json& value = take(key);
    constexpr std::uint64_t kMost = std::uint64_t{1} << 56;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMost) refuse(key, "a whole number from 0 to 2^56");
    return value.get<std::int64_t>();
  }
  double number(const char* key) {
    const Json& value = take(key);
    if (!value.is_number()) refuse(key, "a number");
    return value.get<double>();
  }
  void finish() const {
    if (num_taken_ != json_.size()) refuse("train state", "no other keys");
  }
  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const {
    fail(ExitCode::kBadData, source_, key, cat("needs ", expected));
  }

 private:
  const std::string& source_;
  Json json_;
  std::size_t num_taken_ = 0;
};

std::vector<StepValues> read_unjudged(Reader& reader) {
  const Json& list = reader.take("unjudged");
  if (!list.is_array() || list.size() >= static_cast<std::size_t>(kJudgeEvery)) reader.refuse("unjudged", "a list of fewer than 8 steps");
  std::vector<StepValues> unjudged;
  for (const Json& row : list) {
    const bool fits = row.is_array() && row.size() == 3 && (row[0].is_number() || row[0].is_null()) &&
                      (row[1].is_number() || row[1].is_null()) && row[2].is_boolean();
    if (!fits) reader.refuse("unjudged", "rows of loss, gradient norm and whether the step was applied");
    unjudged.push_back({number_or_nan(row[0]), number_or_nan(row[1]), row[2].get<bool>()});
  }
  return unjudged;
}

std::optional<BestEvaluation> read_best(Reader& reader) {
  const Json& best = reader.take("best");
  if (best.is_null()) return std::nullopt;
  const bool fits = best.is_array() && best.size() == 2 && best[0].is_number_unsigned() && best[1].is_number();
  if (!fits) reader.refuse("best", "null, or a step and its log-perplexity");
  return BestEvaluation{best[0].get<std::int64_t>(), best[1].get<double>()};
}

}  // namespace

std::string to_json(const CheckpointState& state) {
  const Progress& p = state.progress;
  Json unjudged = Json::array();
  for (const StepValues& values : p.unjudged) unjudged.push_back(Json::array({values.loss, values.grad_norm, values.applied}));
  Json json = {{"step", p.step},           {"data_step", p.data_step},
               {"tokens", p.tokens},       {"num_events", p.num_events},
               {"loss_mean", p.loss_mean}, {"norm_mean", p.norm_mean},
               {"num_means", p.num_means}, {"unjudged", std::move(unjudged)},
               {"best", nullptr},          {"data_fingerprint", state.fingerprint}};
  if (state.best) json["best"] = Json::array({state.best->step, state.best->log_perplexity});
  return json.dump(2) + "\n";
}

CheckpointState parse_state(std::string_view text, const std::string& source) {
  Reader reader(text, source);
  CheckpointState state;
  Progress& p = state.progress;
  p.step = reader.count("step");
  p.data_step = static_cast<std::uint64_t>(reader.count("data_step"));
  p.tokens = static_cast<std::uint64_t>(reader.count("tokens"));
  p.num_events = reader.count("num_events");
  p.loss_mean = reader.number("loss_mean");
  p.norm_mean = reader.number("norm_mean");
  p.num_means = reader.count("num_means");
  p.unjudged = read_unjudged(reader);
  state.best = read_best(reader);
  const Json& fingerprint = reader.take("data_fingerprint");
  if (!fingerprint.is_string()) reader.refuse("data_fingerprint", "text");
  state.fingerprint = fingerprint.get<std::string>();
  reader.finish();
  return state;
}

}  // namespace sluice::train
