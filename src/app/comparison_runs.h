// Implements the runs of a comparison (compare/run_factory.h) with run/, train/ and model/.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/comparison_config.h"
#include "compare/run_factory.h"
#include "data/prepared.h"
#include "run/plan.h"

namespace sluice::app {

// RunFacts::identity of a resolved configuration.
std::string identity_of(const train::RunConfig& config);

class ComparisonRuns final : public compare::RunFactory {
 public:
  explicit ComparisonRuns(ConfigOptions options) : options_(std::move(options)) {}

  void prepare(const compare::RunRequest& request) override;
  compare::RunFacts make(const compare::RunRequest& request) override;
  std::vector<std::string> train_command(const std::filesystem::path& config,
                                         const std::filesystem::path& run_dir) const override;
  std::vector<std::string> measure_command(const std::filesystem::path& config) const override;
  std::vector<std::string> worker_command() const override;

  // Returns the checked configuration of one run, with the section `compare`, if any.
  ComparisonConfig load(const compare::RunRequest& request) const;

 private:
  struct Data {
    std::string fingerprint, tokenizer_hash;  // empty if not prepared
    data::PerSplit<std::string> hashes{};
  };
  const Data& data_of(const train::RunConfig& config);

  ConfigOptions options_;
  std::map<std::string, Data> data_;  // by the sections corpus and tokenizer
  std::set<std::string> prepared_;    // their keys, after prepare()
  // by the configuration without name, directory and seed: the runs of a variant share one plan
  std::map<std::string, run::Plan> plans_;
};

}  // namespace sluice::app
