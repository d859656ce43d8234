#include "app/comparison_config.h"

#include "base/home.h"

namespace sluice::app {

void expand_home(train::RunConfig& config) {
  config.run.dir = sluice::expand_home("run.dir", config.run.dir);
  for (std::string& path : config.corpus.train) path = sluice::expand_home("corpus.train", path);
  for (std::string& path : config.corpus.valid) path = sluice::expand_home("corpus.valid", path);
  config.corpus.prepared_dir = sluice::expand_home("corpus.prepared_dir", config.corpus.prepared_dir);
  auto* pieces = std::get_if<text::SentencePieceConfig>(&config.tokenizer);
  if (pieces != nullptr && pieces->model) pieces->model = sluice::expand_home("tokenizer.model", *pieces->model);
}

ComparisonConfig load_comparison(const config::Input& input) {
  auto config = config::load<ComparisonConfig>(input);
  expand_home(config.run);
  if (config.compare && config.compare->assumed_std)
    config.compare->assumed_std = sluice::expand_home("compare.assumed_std", *config.compare->assumed_std);
  return config;
}

}  // namespace sluice::app
