#include "app/comparison_config.h"

#include "base/home.h"

namespace sluice::app {

void expand_home_of(train::RunConfig& config) {
  config.run.dir = expand_home("run.dir", config.run.dir);
  for (std::string& path : config.corpus.train) path = expand_home("corpus.train", path);
  for (std::string& path : config.corpus.valid) path = expand_home("corpus.valid", path);
  config.corpus.prepared_dir = expand_home("corpus.prepared_dir", config.corpus.prepared_dir);
  auto* pieces = std::get_if<text::SentencePieceConfig>(&config.tokenizer);
  if (pieces != nullptr && pieces->model) pieces->model = expand_home("tokenizer.model", *pieces->model);
}

ComparisonConfig load_comparison(const config::Input& input) {
  auto config = config::load<ComparisonConfig>(input);
  expand_home_of(config.run);
  if (config.compare && config.compare->assumed_std)
    config.compare->assumed_std = expand_home("compare.assumed_std", *config.compare->assumed_std);
  return config;
}

}  // namespace sluice::app
