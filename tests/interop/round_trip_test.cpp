// Every feed-forward variant in every layout: `transformers` computes the same logits and the same
// greedy continuations, and export, import, export gives the same bytes. Models that `transformers`
// saved (fp32, fp16 and bf16, single and sharded, tied and not) keep their function. One Python
// process per version of `transformers` does its part, while this one exports.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <future>
#include <set>

#include "base/text_format.h"
#include "interop/export_gguf.h"
#include "interop/export_huggingface.h"
#include "interop/import_huggingface.h"
#include "interop/layout_tables.h"
#include "tests/interop/interop_support.h"
#include "tests/model/transformers_versions.h"

// Included last: its namespace sluice::testing would hide GoogleTest's.
#include "tests/base/temporary_directory.h"

namespace sluice::interop::test {
namespace {

namespace fs = std::filesystem;

struct Case {
  std::string name;
  train::RunConfig config;
  std::string class_name;
};

bool is_in_a_layout(std::string_view ffn) {
  return std::any_of(std::begin(kT5Activations), std::end(kT5Activations),
                     [&](const ActivationName& known) { return known.ffn == ffn; });
}

// Options that are not tied to a variant alternate, so that each layout has both.
std::vector<Case> all_cases() {
  std::vector<Case> all;
  int number = 0;
  for (const nn::FfnVariant& variant : nn::kFfnVariants) {
    if (!is_in_a_layout(variant.name)) continue;  // tests/interop/export_test.cpp
    const bool odd = ++number % 2 != 0;
    const std::string ffn =
        cat("ffn: ", variant.name, ", tie_embeddings: ", odd ? "true" : "false");
    const std::string options =
        odd ? "num_kv_heads: 2, bias: true" : "head_dim: 12, position: {type: rope, theta: 500}";
    all.push_back({cat("rope_", variant.name), decoder(cat(ffn, ", ", options)),
                   variant.gated ? "LlamaForCausalLM" : "ArceeForCausalLM"});
    all.push_back({cat("t5_", variant.name),
                   encoder_decoder(cat(ffn, odd ? ", num_decoder_layers: 1" : ", head_dim: 12")),
                   "T5ForConditionalGeneration"});
    if (!variant.gated)
      all.push_back({cat("learned_", variant.name),
                     decoder(cat(ffn,
                                 ", position: {type: learned, max_length: 90}, bias: true, "
                                 "norm: {type: layernorm, eps: 1e-5}")),
                     "GPT2LMHeadModel"});
  }
  // What llama.cpp has.
  all.push_back({"gguf_swiglu", decoder("ffn: swiglu, num_kv_heads: 2"), "LlamaForCausalLM"});
  all.push_back({"gguf_squared_relu",
                 decoder("ffn: squared_relu, head_dim: 12, tie_embeddings: false"),
                 "ArceeForCausalLM"});
  return all;
}

std::set<std::string> files_of(const fs::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory))
    names.insert(entry.path().filename().string());
  return names;
}

void write_greedy(const fs::path& checkpoint, const fs::path& file) {
  const std::vector<std::int64_t> prompt{300, 17, 5, 290, 311, 42, 280};
  std::ofstream out(file);
  for (const std::int64_t id : prompt) out << id << " ";
  out << "\n";
  for (const std::int64_t id : greedy_tokens(checkpoint, prompt)) out << id << " ";
  out << "\n";
}

// Exports the random model, imports it and exports it again.
void round_trip(const Case& c, const fs::path& root) {
  SCOPED_TRACE(c.name);
  const fs::path checkpoint = save_random(c.config, root, c.name),
                 exported = root / "exports" / c.name, run = root / (c.name + ".run"),
                 again = root / (c.name + ".again");
  EXPECT_EQ(export_huggingface({.run = checkpoint, .out = exported}).class_name, c.class_name);
  EXPECT_EQ(import_huggingface({.files = find_model_files({exported}), .out = run}).class_name,
            c.class_name);
  export_huggingface({.run = run, .out = again});
  EXPECT_EQ(content(run / "checkpoints/step-0/model.safetensors"),
            content(checkpoint / "model.safetensors"));
  EXPECT_EQ(files_of(exported), files_of(again));
  for (const std::string& file : files_of(exported))
    if (file != "README.md") {
      EXPECT_EQ(content(exported / file), content(again / file)) << file;
    }
  write_greedy(checkpoint, exported / "greedy.txt");
  if (c.name.starts_with("gguf"))
    export_gguf({.run = checkpoint, .out = root / (c.name + ".gguf")});
}

// peer.py, running in a version of `transformers`.
class Peer {
 public:
  Peer(const model::test::TransformersVersion& version, const fs::path& shared,
       const fs::path& tokenizer)
      : folder_(shared / version.name) {
    fs::create_directories(folder_);
    outcome_ = std::async(std::launch::async, [=, own = folder_.string()] {
      return run_python(version.python, "peer.py",
                        {shared.string(), own, version.major, tokenizer.string()});
    });
  }
  ~Peer() { go_on(); }  // the process must end before its future does
  Peer(Peer&&) = default;
  // The models that it saved; none if it failed.
  std::vector<fs::path> saved() const {
    while (!fs::exists(folder_ / "saved.ready"))
      if (outcome_.wait_for(std::chrono::milliseconds(20)) == std::future_status::ready) return {};
    std::vector<fs::path> models;
    for (const auto& entry : fs::directory_iterator(folder_ / "saved"))
      models.push_back(entry.path());
    return models;
  }
  void go_on() const { write(folder_ / "exported.ready", ""); }
  bool succeeded() { return outcome_.get(); }

 private:
  fs::path folder_;
  std::future<bool> outcome_;
};

// `transformers` computes the same from our exports and from its own models that went through
// Sluice; llama.cpp generates the same text.
TEST(RoundTrip, OtherProgramsAgreeAndBytesReturn) {
  const testing::TemporaryDirectory directory;
  const fs::path tokenizer =
      save_random(decoder("ffn: relu"), directory.path(), "tokenizer") / "tokenizer.model";
  std::vector<Peer> peers;
  for (const model::test::TransformersVersion& version : model::test::kTransformersVersions)
    peers.emplace_back(version, directory.path(), tokenizer);
  fs::create_directories(directory / "exports");
  for (const Case& c : all_cases()) round_trip(c, directory.path());
  for (Peer& peer : peers) {
    for (const fs::path& model : peer.saved()) {
      SCOPED_TRACE(model.string());
      const fs::path run = directory / (model.filename().string() + ".saved.run");
      fs::remove_all(run);
      import_huggingface({.files = find_model_files({model}), .out = run});
      export_huggingface({.run = run, .out = model / "exported"});
    }
    peer.go_on();
  }
  for (Peer& peer : peers) EXPECT_TRUE(peer.succeeded());
}

}  // namespace
}  // namespace sluice::interop::test
