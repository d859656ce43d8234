// The runs of a comparison as train/ and model/ see them: see compare/run_factory.h.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/comparison_config.h"
#include "compare/run_factory.h"
#include "data/prepared.h"
#include "train/plan.h"

namespace sluice::app {

class ComparisonRuns final : public compare::RunFactory {
 public:
  explicit ComparisonRuns(ConfigOptions options) : options_(std::move(options)) {}

  void prepare(const compare::RunRequest& request) override;
  compare::RunFacts make(const compare::RunRequest& request) override;
  std::vector<std::string> train_command(const std::filesystem::path& config, const std::filesystem::path& run_dir) const override;
  std::vector<std::string> measure_command(const std::filesystem::path& config) const override;

  // The configuration of one run, checked.
  train::RunConfig load(const compare::RunRequest& request) const;

 private:
  struct Data {
    std::string fingerprint, tokenizer_hash;  // empty where it is not prepared
  };
  const Data& data_of(const train::RunConfig& config);

  ConfigOptions options_;
  std::map<std::string, Data> data_;          // by sections corpus and tokenizer
  std::map<std::string, train::Plan> plans_;  // by configuration, name, place and seed apart: runs of one variant share one
};

}  // namespace sluice::app
