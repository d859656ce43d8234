#include "store/run_result.h"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text_format.h"

namespace sluice::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kFormat = 1;
constexpr std::string_view kSeal = "seal_xxh3_128";  // hash of the text that has an empty seal
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 32;

// JSON has no NaN and no infinity: nlohmann writes them as null. A missing figure is null too.
Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }
std::optional<double> number_or_nothing(const Json& json) { return json.is_null() ? std::nullopt : std::optional(json.get<double>()); }
std::optional<double> number_if_there(const Json& json, const char* key) {
  return json.contains(key) ? number_or_nothing(json.at(key)) : std::nullopt;
}
double number_or_nan(const Json& json) { return number_or_nothing(json).value_or(std::numeric_limits<double>::quiet_NaN()); }

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json documents_of(const RunResult& result) {
  Json documents = Json::array();
  for (const DocumentLoss& document : result.documents) documents.push_back(Json::array({document.nats, document.num_targets}));
  return documents;
}

std::string sealed(const RunResult& r) {
  Json json = {{"format", kFormat},
               {"step", r.step},
               {"tokens", r.tokens},
               {"log_perplexity", or_null(r.log_perplexity)},
               {"perplexity", or_null(r.perplexity)},
               {"bits_per_byte", or_null(r.bits_per_byte)},
               {"word_perplexity", or_null(r.word_perplexity)},
               {"uniform_log_perplexity", or_null(r.uniform_log_perplexity)},
               {"initial_log_perplexity", or_null(r.initial_log_perplexity)},
               {"num_targets", r.num_targets},
               {"num_dropped_tokens", r.num_dropped_tokens.value_or(0)},
               {"num_parameters", r.num_parameters},
               {"flops_per_token", r.flops_per_token},
               {"multiply_adds_per_token", r.multiply_adds_per_token},
               {"training_seconds", r.training_seconds},
               {"config", r.config},
               {"data_fingerprint", r.data_fingerprint},
               {"tokenizer_hash", r.tokenizer_hash},
               {"build", r.build},
               {"libtorch", r.libtorch},
               {"cpu", r.cpu},
               {"device", r.device},
               {"precision", r.precision},
               {"threads", r.threads},
               {"documents", documents_of(r)},
               {kSeal, ""}};
  // As earlier versions wrote them.
  if (!r.num_dropped_tokens) json.erase("num_dropped_tokens");
  if (!r.uniform_log_perplexity) json.erase("uniform_log_perplexity");
  if (!r.initial_log_perplexity) json.erase("initial_log_perplexity");
  json[kSeal] = hash_of(text_of(json)).hex();
  return text_of(json) + "\n";
}

// Throws nlohmann's exceptions for keys that are missing or of another type. Whatever else is wrong shows when the result is written again
// and compared.
RunResult from_json(const Json& json) {
  RunResult r;
  r.step = json.at("step").get<std::int64_t>();
  r.tokens = json.at("tokens").get<std::uint64_t>();
  r.log_perplexity = number_or_nothing(json.at("log_perplexity"));
  r.perplexity = number_or_nothing(json.at("perplexity"));
  r.bits_per_byte = number_or_nothing(json.at("bits_per_byte"));
  r.word_perplexity = number_or_nothing(json.at("word_perplexity"));
  r.uniform_log_perplexity = number_if_there(json, "uniform_log_perplexity");
  r.initial_log_perplexity = number_if_there(json, "initial_log_perplexity");
  r.num_targets = json.at("num_targets").get<std::uint64_t>();
  r.num_dropped_tokens =
      json.contains("num_dropped_tokens") ? std::optional(json.at("num_dropped_tokens").get<std::uint64_t>()) : std::nullopt;
  r.num_parameters = json.at("num_parameters").get<std::int64_t>();
  r.flops_per_token = number_or_nan(json.at("flops_per_token"));
  r.multiply_adds_per_token = number_or_nan(json.at("multiply_adds_per_token"));
  r.training_seconds = number_or_nan(json.at("training_seconds"));
  r.config = json.at("config").get<std::string>();
  r.data_fingerprint = json.at("data_fingerprint").get<std::string>();
  r.tokenizer_hash = json.at("tokenizer_hash").get<std::string>();
  r.build = json.at("build").get<std::string>();
  r.libtorch = json.at("libtorch").get<std::string>();
  r.cpu = json.at("cpu").get<std::string>();
  r.device = json.at("device").get<std::string>();
  r.precision = json.at("precision").get<std::string>();
  r.threads = json.at("threads").get<std::int64_t>();
  for (const Json& document : json.at("documents"))
    r.documents.push_back({number_or_nan(document.at(0)), document.at(1).get<std::uint64_t>()});
  return r;
}

constexpr double kSame = 1e-4;           // nats: equal in the digits that are shown
constexpr std::int64_t kManySteps = 50;  // a run that learns is below the guess by then

bool is_same(double a, double b) { return std::abs(a - b) < kSame; }
bool has_not_moved(const RunResult& r) { return r.initial_log_perplexity && is_same(*r.log_perplexity, *r.initial_log_perplexity); }

}  // namespace

std::optional<bool> learned_nothing(const RunResult& r) {
  if (!r.log_perplexity || !r.uniform_log_perplexity) return std::nullopt;
  const double figure = *r.log_perplexity, guess = *r.uniform_log_perplexity;
  if (has_not_moved(r) || is_same(figure, guess)) return true;
  if (figure < guess) return false;
  return r.step >= kManySteps || (r.initial_log_perplexity && figure > *r.initial_log_perplexity);
}

std::string learned_nothing_warning(const RunResult& r) {
  if (!learned_nothing(r).value_or(false)) return "";
  const std::string figure = cat("held-out log-perplexity ", fixed(*r.log_perplexity, 4));
  if (has_not_moved(r))
    return cat(figure, ", the same as before training: the model has learned nothing; raise optimizer.lr or train longer");
  const bool is_on_its_way =
      r.initial_log_perplexity && *r.log_perplexity < *r.initial_log_perplexity && !is_same(*r.log_perplexity, *r.uniform_log_perplexity);
  return cat(figure, ", no better than a uniform guess over the vocabulary (", fixed(*r.uniform_log_perplexity, 4),
             "): the model has learned nothing; ", is_on_its_way ? "raise optimizer.lr or train longer" : "lower optimizer.lr");
}

void write_run_result(const RunResult& result, const std::filesystem::path& path) { real_files().write_atomically(path, sealed(result)); }

RunResult read_run_result(const std::filesystem::path& path) {
  constexpr std::string_view kExpected = "a result as `sluice train` writes it";
  const std::string text = read_file(path, kMaxBytes);
  const Json tree = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!tree.is_object()) fail(ExitCode::kBadData, path.string(), "no JSON object", kExpected);
  if (const auto format = tree.find("format"); format != tree.end() && format->is_number_integer() && *format != kFormat)
    fail(ExitCode::kBadData, path.string(), cat("result format ", format->dump()), cat("format ", kFormat, ", the one this version reads"));
  RunResult result;
  try {
    result = from_json(tree);
  } catch (const nlohmann::json::exception&) {
    fail(ExitCode::kBadData, path.string(), "keys missing or of the wrong type", kExpected);
  }
  require(sealed(result) == text, ExitCode::kBadData, path.string(), "content that differs from its own hash", kExpected);
  return result;
}

}  // namespace sluice::store
