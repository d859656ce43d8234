#include "run/start_settings.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "run/run_record.h"

namespace sluice::run {
namespace {

constexpr std::array<std::string_view, 3> kLengthKeys = {"train.steps", "train.tokens",
                                                         "train.epochs"};

bool is_length(const std::string& path) {
  return std::find(kLengthKeys.begin(), kLengthKeys.end(), path) != kLengthKeys.end();
}

// A later override of the same key, or of a section that contains it, replaces an earlier one. The
// keys of the run's length count as one key.
bool is_replaced(const std::string& path, const std::vector<std::string>& given) {
  return std::any_of(given.begin(), given.end(), [&](const std::string& text) {
    const std::string other = config::override_path(text);
    return path == other || path.starts_with(other + '.') || (is_length(path) && is_length(other));
  });
}

// The values of a file for a key; for a length, those of all its keys.
std::vector<config::FileValues> values_of(const config::FileValues& values,
                                          const std::string& path) {
  if (!is_length(path)) return {config::values_near(values, path)};
  std::vector<config::FileValues> all;
  for (const std::string_view key : kLengthKeys)
    all.push_back(config::values_near(values, std::string(key)));
  return all;
}

// run.dir is given by every command.
bool is_kept(const std::string& path) { return path != "run.dir"; }

std::vector<std::string> joined(std::vector<std::string> overrides,
                                const std::vector<std::string>& more) {
  for (const std::string& text : more)
    if (is_kept(config::override_path(text))) overrides.push_back(text);
  return overrides;
}

}  // namespace

std::vector<std::string> with_one_length(const std::vector<std::string>& overrides) {
  std::vector<std::string> named, all;
  for (const std::string& text : overrides) named.push_back(config::override_path(text));
  if (std::none_of(named.begin(), named.end(), is_length)) return overrides;
  for (const std::string_view key : kLengthKeys)
    if (std::find(named.begin(), named.end(), key) == named.end()) all.push_back(cat(key, "=null"));
  all.insert(all.end(), overrides.begin(), overrides.end());
  return all;
}

StartSettings read_start_settings(const store::RunPaths& paths) {
  try {
    const std::optional<RunRecord> record = read_run_record(paths);
    return record ? record->settings.value_or(StartSettings{}) : StartSettings{};
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    log::warn(cat(printable(paths.run_json().string(), 400),
                  ": damaged; --set options of earlier starts are unknown: pass them again"));
    return {};
  }
}

Continuation continue_with(const StartSettings& earlier, config::FileValues file_values,
                           const std::vector<std::string>& given) {
  Continuation next;
  std::string kept;
  for (const std::string& text : earlier.overrides) {
    const std::string path = config::override_path(text);
    if (is_replaced(path, given)) continue;
    if (values_of(earlier.file_values, path) != values_of(file_values, path)) {
      next.notes.push_back(cat("resume: ", path,
                               " was edited in the configuration file, replacing --set ", text,
                               " of an earlier start"));
      continue;
    }
    kept += cat(kept.empty() ? "" : " ", text);
    next.settings.overrides.push_back(text);
  }
  if (!kept.empty())
    next.notes.push_back(
        cat("resume: keeping --set of an earlier start: ", kept, " (use --set to change a key)"));
  next.settings.overrides = joined(std::move(next.settings.overrides), given);
  next.settings.file_values = std::move(file_values);
  return next;
}

Continuation continue_own(const StartSettings& earlier, const std::vector<std::string>& given) {
  Continuation next;
  for (const std::string& text : earlier.overrides)
    if (!is_replaced(config::override_path(text), given)) next.settings.overrides.push_back(text);
  next.settings.overrides = joined(std::move(next.settings.overrides), given);
  next.settings.file_values = earlier.file_values;
  return next;
}

}  // namespace sluice::run
