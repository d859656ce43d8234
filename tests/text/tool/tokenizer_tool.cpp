// Prints what our tokenizers do, for comparison with other libraries (tests/scripts).
//
//   tokenizer_tool train ALGORITHM VOCAB_SIZE TEXT MODEL
//   tokenizer_tool export MODEL DIRECTORY NUM_SENTINELS APPEND_EOS(0|1)
//   tokenizer_tool import TOKENIZER_JSON MODEL           prints sentinels, eos, …
//   tokenizer_tool time MODEL TEXT                       prints bytes per second of encode()
//   tokenizer_tool encode MODEL           JSON strings on stdin, one per line
//                                         -> {"ids": [...], "text": decoded} per line
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "text/huggingface_export.h"
#include "text/huggingface_import.h"
#include "text/tokenizer.h"

namespace {

namespace text = sluice::text;

int train(const std::vector<std::string>& words) {
  text::SentencePieceConfig config;
  config.algorithm = words[0] == "bpe" ? text::Algorithm::kBpe : text::Algorithm::kUnigram;
  config.vocab_size = std::stoll(words[1]);
  const std::vector<std::string> sample{sluice::read_file(words[2])};
  sluice::real_files().write_atomically(words[3],
                                        text::train_sentencepiece(config, sample)->serialized());
  return 0;
}

int export_files(const std::vector<std::string>& words) {
  const auto tokenizer = text::load_tokenizer(words[0]);
  const text::HuggingFaceTokenizerOptions options{.num_sentinels = std::stoll(words[2]),
                                                  .append_eos = words[3] == "1"};
  std::filesystem::create_directories(words[1]);
  for (const auto& file : text::huggingface_tokenizer_files(*tokenizer, options))
    sluice::real_files().write_atomically(std::filesystem::path(words[1]) / file.name,
                                          file.content);
  return 0;
}

nlohmann::json id_or_null(std::optional<std::int32_t> id) {
  return id.has_value() ? nlohmann::json(*id) : nlohmann::json();
}

int import_file(const std::vector<std::string>& words) {
  const auto imported = text::load_huggingface_tokenizer(words[0]);
  sluice::real_files().write_atomically(words[1], imported.tokenizer->serialized());
  std::cout << nlohmann::json{{"sentinels", imported.num_sentinels},
                              {"vocab_size", imported.tokenizer->vocab_size()},
                              {"lossless", imported.tokenizer->lossless()},
                              {"eos", id_or_null(imported.tokenizer->eos())},
                              {"pad", id_or_null(imported.tokenizer->pad())},
                              {"unk", id_or_null(imported.tokenizer->unk())}}
            << '\n';
  return 0;
}

int time_encoding(const std::vector<std::string>& words) {
  const auto tokenizer = text::load_tokenizer(words[0]);
  const std::string content = sluice::read_file(words[1]);
  std::vector<std::int32_t> ids;
  const double start_s = sluice::monotonic_s();
  // In the blocks of a corpus.
  for (std::size_t at = 0; at < content.size(); at += 64 << 10)
    tokenizer->encode(std::string_view(content).substr(at, 64 << 10), ids);
  std::cout << static_cast<double>(content.size()) / (sluice::monotonic_s() - start_s) << '\n';
  return 0;
}

int encode(const std::vector<std::string>& words) {
  const auto tokenizer = text::load_tokenizer(words[0]);
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<std::int32_t> ids;
    tokenizer->encode(nlohmann::json::parse(line).get<std::string>(), ids);
    std::cout << nlohmann::json{{"ids", ids}, {"text", tokenizer->decode(ids)}}.dump() << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) return 2;
  const std::string command = words.front();
  words.erase(words.begin());
  try {
    if (command == "train" && words.size() == 4) return train(words);
    if (command == "export" && words.size() == 4) return export_files(words);
    if (command == "import" && words.size() == 2) return import_file(words);
    if (command == "time" && words.size() == 2) return time_encoding(words);
    if (command == "encode" && words.size() == 1) return encode(words);
  } catch (const sluice::UserError& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(error.code());
  }
  return 2;
}
