// RUN/run.json: provenance of a run. Read back are `working_directory` (places.h), `settings`
// (start_settings.h), and the hashes of data and tokenizer (verify_run.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "config/record.h"
#include "run/start_settings.h"
#include "store/run_directory.h"

namespace sluice::run {

struct RunRecord {
  static constexpr config::RecordFormat record{
      .name = "run",
      .place = "RUN/run.json",
      .summary =
          "Versions, machine, command, and hashes of data and tokenizer. Written at each start.",
      .expected = "the record as written by `sluice train`"};

  struct Program {
    std::string version, revision;
    static constexpr auto fields() {
      return std::tuple{config::field<&Program::version>("Version."),
                        config::field<&Program::revision>("Revision of the source.")};
    }
  };
  struct Processor {
    std::string cpu, features;
    std::int64_t num_cpus = 0;
    std::uint64_t memory_bytes = 0;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&Processor::cpu>("Processor model."),
                        field<&Processor::features>("Relevant processor features."),
                        field<&Processor::num_cpus>("Processors available to this process."),
                        field<&Processor::memory_bytes>("Main memory.")};
    }
  };
  struct Data {
    std::string fingerprint, directory;
    static constexpr auto fields() {
      return std::tuple{config::field<&Data::fingerprint>("Hash of the settings and input files."),
                        config::field<&Data::directory>("Directory of the shards.")};
    }
  };
  struct Tokenizer {
    std::string file, hash;
    static constexpr auto fields() {
      return std::tuple{config::field<&Tokenizer::file>("tokenizer.model or tokenizer.json."),
                        config::field<&Tokenizer::hash>("Its XXH3-128.")};
    }
  };

  std::string name;
  Program sluice;
  std::string libtorch;
  Processor machine;
  std::int64_t threads = 0;
  std::optional<std::int64_t> processes;
  std::string device;
  std::optional<bool> repeatable;
  std::string command;
  std::optional<std::string> working_directory;
  std::optional<StartSettings> settings;
  std::string started;
  std::int64_t num_parameters = 0;
  Data data;
  Tokenizer tokenizer;

  static constexpr auto fields() {
    using config::field, config::MayBeMissing;
    using R = RunRecord;
    return std::tuple{
        field<&R::name>("run.name of the configuration."),
        field<&R::sluice>("The program."),
        field<&R::libtorch>("Version of LibTorch."),
        field<&R::machine>("The machine."),
        field<&R::threads>("Number of threads of each process."),
        field<&R::processes>("Processes that share each step.", MayBeMissing{}),
        field<&R::device>("cpu or cuda."),
        field<&R::repeatable>(
            "Whether a second run on the same machine and software gives the same "
            "bits: false on a GPU with `train.deterministic: false`.",
            MayBeMissing{}),
        field<&R::command>("Command line, quoted for a shell."),
        field<&R::working_directory>("Base directory of relative paths.", MayBeMissing{}),
        field<&R::settings>("Settings that later starts keep.", MayBeMissing{}),
        field<&R::started>("Start time in UTC."),
        field<&R::num_parameters>("Parameters of the model."),
        field<&R::data>("The prepared data."),
        field<&R::tokenizer>("The tokenizer.")};
  }
};

// None if it does not exist; kBadData if it is damaged.
std::optional<RunRecord> read_run_record(const store::RunPaths& paths);

}  // namespace sluice::run
