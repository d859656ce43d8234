#include "train/run_record.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/machine.h"
#include "base/version.h"
#include "ops/torch_compat.h"

namespace sluice::train {

std::string run_record(const RunRecord& record) {
  const Machine& cpu = machine();
  const nlohmann::ordered_json json = {
      {"name", record.run.config.run.name},
      {"sluice", {{"version", version()}, {"revision", git_revision()}}},
      {"libtorch", ops::torch_version()},
      {"machine", {{"cpu", cpu.cpu_model}, {"features", cpu.features()}, {"num_cpus", cpu.num_cpus}, {"memory_bytes", cpu.memory_bytes}}},
      {"threads", record.run.threads},
      {"device", record.run.device},
      {"command", record.command_line},
      {"working_directory", std::filesystem::current_path().string()},
      {"settings", {{"set", record.settings.overrides}, {"file", record.settings.file_values}}},
      {"started", utc_timestamp()},
      {"num_parameters", record.num_parameters},
      {"data", {{"fingerprint", record.data.fingerprint}, {"directory", record.data.directory.string()}}},
      {"tokenizer", {{"file", record.data.tokenizer->file_name()}, {"hash", record.data.tokenizer->hash().hex()}}},
  };
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::train
