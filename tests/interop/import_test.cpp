// Import of damaged, hostile and unsupported files, and what an imported run can do.
#include "interop/import_huggingface.h"

#include <functional>

#include "base/error.h"
#include "base/text_format.h"
#include "config/config.h"
#include "interop/export_huggingface.h"
#include "run/open_checkpoint.h"
#include "run/session.h"
#include "run/verify_run.h"
#include "tests/interop/interop_support.h"
#include "train/batches.h"

// Included last: its namespace sluice::testing would hide GoogleTest's.
#include "tests/base/temporary_directory.h"

namespace sluice::interop::test {
namespace {

namespace fs = std::filesystem;

class Import : public ::testing::Test {
 protected:
  // A fresh copy of the export of a model.
  fs::path exported(const std::string& name, const train::RunConfig& config) const {
    const fs::path model = directory_ / name;
    if (!fs::exists(model))
      export_huggingface(
          {.run = save_random(config, directory_.path(), name + ".run"), .out = model});
    const fs::path copy = directory_ / "copy";
    fs::remove_all(copy);
    fs::copy(model, copy);
    return copy;
  }
  fs::path llama() const { return exported("llama", decoder("ffn: swiglu")); }
  fs::path t5() const { return exported("t5", encoder_decoder("ffn: geglu")); }

  // The model with another tokenizer_config.json and post-processor of tokenizer.json (empty: no
  // such file) and another bos_token_id.
  fs::path start_token_files(const std::string& config, const std::string& processor,
                             std::int64_t bos_id) const {
    const fs::path model = llama();
    for (const char* file : {"tokenizer_config.json", "tokenizer.json"}) fs::remove(model / file);
    if (!config.empty()) write(model / "tokenizer_config.json", config);
    if (!processor.empty())
      write(model / "tokenizer.json", cat("{\"post_processor\": ", processor, "}"));
    replace(model / "config.json", "\"bos_token_id\": null", cat("\"bos_token_id\": ", bos_id));
    return model;
  }

  // Expects that the import fails with `code` and a message that ends so, and leaves nothing.
  void expect_error(const fs::path& model, ExitCode code, const std::string& end) const {
    const fs::path out = directory_ / "imported";
    try {
      import_huggingface({.files = find_model_files({model}), .out = out});
      ADD_FAILURE() << "no error; expected " << end;
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_TRUE(std::string(error.what()).ends_with(end)) << error.what();
    }
    for (const auto& entry : fs::directory_iterator(directory_.path()))
      EXPECT_FALSE(entry.path().filename().string().starts_with("imported")) << entry.path();
    fs::remove_all(out);
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(Import, RefusesConfigurationsNamingTheKey) {
  struct Fault {
    std::string from, to, message;
  };
  const std::vector<Fault> faults{
      {"\"llama\"", "\"mistral\"",
       "model_type: received \"mistral\"; expected llama, arcee, gpt2 or t5"},
      {"\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8}",
       "expected rope_type default"},
      {"\"rope_type\": \"default\"", "\"rope_type\": \"yarn\"", "expected rope_type default"},
      {"\"use_cache\": true", "\"sliding_window\": 4096",
       "sliding_window: received 4096; expected no such key, or null"},
      {"\"use_cache\": true", "\"quantization_config\": {\"bits\": 4}",
       "quantization_config: received {\"bits\":4}; expected no such key, or null"},
      {"\"hidden_act\": \"silu\"", "\"hidden_act\": \"mish\"",
       "gelu_new, gelu_python_tanh, gelu_python, swish"},
      {"\"mlp_bias\": false", "\"mlp_bias\": true",
       "mlp_bias: received true; expected false, as attention_bias"},
      {"\"hidden_size\": 32", "\"hidden_size\": -1",
       "hidden_size: received -1; expected a whole number from 1 to 65536"},
      {"\"hidden_size\": 32", "\"hidden_size\": 1e99",
       "hidden_size: received 1e+99; expected a whole number from 1 to 65536"},
      {"\"hidden_size\": 32", "\"hidden_size\": 18446744073709551615",
       "expected a whole number from 1 to 65536"},
      {"\"hidden_size\": 32,", "",
       "hidden_size: received no value; expected a whole number from 1 to 65536"},
      {"\"num_key_value_heads\": 4", "\"num_key_value_heads\": 3",
       "num_key_value_heads: received 3; expected a divisor of num_attention_heads 4"},
      {"\"vocab_size\": 360", "\"vocab_size\": 300",
       "vocab_size: received 300; expected at least 360, the pieces of the tokenizer"},
      // More rows than the tensor has.
      {"\"vocab_size\": 360", "\"vocab_size\": 361",
       "model.embed_tokens.weight: received 360 rows; expected 361, the vocab_size of "
       "config.json"},
      {"\"eos_token_id\": 2", "\"eos_token_id\": 5",
       "eos_token_id: received 5; expected 2, the end token of the tokenizer"},
      {"\"eos_token_id\": 2", "\"eos_token_id\": 100000",
       "eos_token_id: received 100000; expected 2, the end token of the tokenizer"},
      {"\"eos_token_id\": 2", "\"eos_token_id\": [5, 7]",
       "eos_token_id: received 5, 7; expected a list with 2, the end token of the tokenizer"},
      {"\"eos_token_id\": 2", "\"eos_token_id\": [2, \"x\"]",
       "eos_token_id: received [2,\"x\"]; expected a list of token ids"},
      {"\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": \"x\"",
       "rms_norm_eps: received \"x\"; expected a number from 1e-30 to 1"},
      {"\"tie_word_embeddings\": true", "\"tie_word_embeddings\": 1",
       "tie_word_embeddings: received 1; expected true or false"},
      {"{", "[", "received invalid JSON; expected the configuration of a model"},
      // More than the files contain, and more than any memory.
      {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 10000",
       "model.layers.2.input_layernorm.weight: missing tensor; expected F32, F16 or BF16 [32]"},
      {"\"intermediate_size\": 48", "\"intermediate_size\": 16000000",
       "received F32 [48, 32]; expected F32, F16 or BF16 [16000000, 32]"},
  };
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.to);
    const fs::path model = llama();
    replace(model / "config.json", fault.from, fault.to);
    expect_error(model, ExitCode::kBadData, fault.message);
  }
  const fs::path model = t5();
  replace(model / "config.json", "\"decoder_start_token_id\": 2", "\"decoder_start_token_id\": 0");
  expect_error(model, ExitCode::kBadData,
               "decoder_start_token_id: received 0; expected 2, the pad or end token of the "
               "tokenizer");
}

TEST_F(Import, RefusesTensorsNamingFileAndTensor) {
  struct Fault {
    std::string from, to, message;
  };
  const std::vector<Fault> faults{
      {"model.norm.weight", "model.horm.weight",
       "copy/model.safetensors: model.norm.weight: missing tensor; expected F32, F16 or BF16 [32]"},
      {"\"F32\",\"shape\":[360,32]", "\"U32\",\"shape\":[360,32]",
       "model.embed_tokens.weight: received U32 [360, 32]; expected F32, F16 or BF16 [360, 32]"},
      {"[360,32]", "[180,64]",
       "model.embed_tokens.weight: received F32 [180, 64]; expected F32, F16 or BF16 [360, 32]"},
  };
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.to);
    const fs::path model = llama();
    replace(model / "model.safetensors", fault.from, fault.to);
    expect_error(model, ExitCode::kBadData, fault.message);
  }
  fs::path model = llama();
  fs::resize_file(model / "model.safetensors", fs::file_size(model / "model.safetensors") - 4);
  EXPECT_THROW(import_huggingface({.files = find_model_files({model}), .out = directory_ / "x"}),
               UserError);
  model = llama();
  std::string weights = content(model / "model.safetensors");
  write(model / "model.safetensors",
        weights.replace(weights.size() - 4, 4, std::string("\x00\x00\x80\x7F", 4)));  // infinity
  expect_error(model, ExitCode::kBadData,
               "received a value that is not finite; expected finite values");
}

TEST_F(Import, ReadsShardsOnlyFromTheFolderOfTheIndex) {
  const auto with_index = [&](const std::string& map) {
    const fs::path model = llama();
    fs::rename(model / "model.safetensors", model / "all.safetensors");
    write(model / "model.safetensors.index.json", map);
    return model;
  };
  expect_error(with_index("{\"weight_map\": {\"a\": \"../all.safetensors\"}}"), ExitCode::kBadData,
               "a: received \"../all.safetensors\"; expected the name of a file in the same "
               "folder");
  expect_error(with_index("{\"weight_map\": {\"a\": 1}}"), ExitCode::kBadData,
               "expected the name of a file in the same folder");
  expect_error(with_index("{\"weight_map\": {\"a\": \"all.safetensors\"}}"), ExitCode::kBadData,
               "a: missing tensor in all.safetensors");
  expect_error(with_index("{\"weight_map\": {\"model.norm.weight\": \"all.safetensors\"}}"),
               ExitCode::kBadData, "tensor is not in the index");
  expect_error(with_index("{}"), ExitCode::kBadData,
               "received no weight_map; expected an index of safetensors files");
  expect_error(with_index("{\"weight_map\": {\"a\": \"none.safetensors\"}}"),
               ExitCode::kMissingInput, "No such file or directory");
}

TEST_F(Import, RefusesATiedHeadWithOtherValues) {
  const train::RunConfig untied = decoder("ffn: swiglu, tie_embeddings: false");
  const fs::path model = exported("untied", untied);
  replace(model / "config.json", "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
  expect_error(model, ExitCode::kBadData,
               "lm_head.weight: received values that differ from model.embed_tokens.weight; "
               "expected the same values, since config.json ties the two");
}

TEST_F(Import, AcceptsFilesInAnyOrderAndNamesTheMissingOne) {
  const fs::path model = llama();
  const Imported imported = import_huggingface(
      {.files = find_model_files(
           {model / "tokenizer.model", model / "model.safetensors", model / "config.json"}),
       .out = directory_ / "run"});
  EXPECT_EQ(imported.class_name, "LlamaForCausalLM");
  EXPECT_THROW(find_model_files({model / "config.json"}), UserError);
  EXPECT_THROW(find_model_files({model / "README.md"}), UserError);
  fs::remove(model / "model.safetensors");
  expect_error(model, ExitCode::kMissingInput,
               "no model.safetensors or model.safetensors.index.json");
}

// With tokenizer.json alone, the ids and the sentinels are the same.
TEST_F(Import, ReadsTokenizerJson) {
  const std::string text = content(fs::path(SLUICE_SOURCE_DIR) / "LICENSE");
  for (const bool has_encoder : {false, true}) {
    const fs::path model = has_encoder ? t5() : llama(),
                   run = directory_ / (has_encoder ? "t5.imported" : "llama.imported");
    const auto expected = text::load_tokenizer(model / "tokenizer.model");
    fs::remove(model / "tokenizer.model");
    import_huggingface({.files = find_model_files({model}), .out = run});
    const run::OpenedCheckpoint opened = run::open_checkpoint(run);
    std::vector<std::int32_t> ids, expected_ids;
    opened.tokenizer->encode(text, ids);
    expected->encode(text, expected_ids);
    EXPECT_EQ(ids, expected_ids);
    EXPECT_EQ(train::num_sentinels(opened.run.config), has_encoder ? 20 : 0);
  }
}

TEST_F(Import, AcceptsAListOfEndTokensWithTheOneOfTheTokenizer) {
  const fs::path model = llama();
  replace(model / "config.json", "\"eos_token_id\": 2", "\"eos_token_id\": [7, 2]");
  import_huggingface({.files = find_model_files({model}), .out = directory_ / "run"});
  EXPECT_EQ(run::open_checkpoint(directory_ / "run").tokenizer->eos(), 2);
}

// Where the start token is found, and what is refused. `<s>` is piece 1 of the tokenizer.
TEST_F(Import, FindsTheStartToken) {
  struct Case {
    std::string config, processor;  // tokenizer_config.json; post_processor; empty: no such file
    std::int64_t bos_id;
    std::optional<std::int32_t> bos;
  };
  const std::string before = R"({"type": "TemplateProcessing", "single":
      [{"SpecialToken": {"id": "s"}}, {"Sequence": {"id": "A"}}],
      "special_tokens": {"s": {"tokens": ["<s>"]}}})";
  const std::string plain = R"({"bos_token": "<s>"})";
  const std::vector<Case> cases{
      {"", "", 1, 1},
      {"", "", 2, std::nullopt},
      {"", "", 300, std::nullopt},
      {plain, "", 1, std::nullopt},
      {R"({"bos_token": "<s>", "add_bos_token": true})", "", 1, 1},
      {R"({"bos_token": "<s>", "add_bos_token": false})", "", 1, std::nullopt},
      {R"({"bos_token": "<s>", "tokenizer_class": "LlamaTokenizer"})", "", 1, 1},
      {plain, before, 1, 1},
      {plain, "null", 1, std::nullopt},
      {plain, R"({"type": "RobertaProcessing", "cls": ["<s>", 1], "sep": ["</s>", 2]})", 1, 1},
      {plain, R"({"type": "Sequence", "processors": [{"type": "ByteLevel"}, )" + before + "]}", 1,
       1},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(cat(c.config, " ", c.processor, " ", c.bos_id));
    const fs::path model = start_token_files(c.config, c.processor, c.bos_id);
    const fs::path run = directory_ / "run";
    fs::remove_all(run);
    import_huggingface({.files = find_model_files({model}), .out = run});
    const run::OpenedCheckpoint opened = run::open_checkpoint(run);
    EXPECT_EQ(opened.tokenizer->bos(), c.bos);
    EXPECT_EQ(opened.tokenizer->start(), c.bos.value_or(2));
    // Without a start token, the file and its hash are unchanged.
    if (!c.bos) {
      EXPECT_EQ(opened.tokenizer->serialized(),
                text::load_tokenizer(model / "tokenizer.model")->serialized());
    }
  }
}

TEST_F(Import, RefusesStartTokensNamingTheField) {
  struct Fault {
    std::string config, processor;
    std::int64_t bos_id;
    std::string message;
  };
  const std::string two = R"({"type": "TemplateProcessing", "single":
      [{"SpecialToken": {"id": "<s>"}}, {"SpecialToken": {"id": "<s>"}}],
      "special_tokens": {"<s>": {"tokens": ["<s>"]}}})";
  const std::vector<Fault> faults{
      {R"({"bos_token": "<x>", "add_bos_token": true})", "", 1,
       "start token: received <x>; expected a control piece of the tokenizer, e.g. <s>"},
      {R"({"add_bos_token": true})", "", 1,
       "bos_token: received no value; expected the token that add_bos_token puts before a text"},
      {R"({"bos_token": "<s>", "add_bos_token": true})", "", 5,
       "bos_token_id: received 5; expected 1, `<s>`, which the tokenizer puts before a text"},
      {"{}", two, 1, "expected at most one token before the text"},
      {"{}", R"({"type": "Other"})", 1,
       "post_processor.type: received `\"Other\"`; expected TemplateProcessing, BertProcessing, "
       "RobertaProcessing, ByteLevel or Sequence"},
      {R"({"add_bos_token": false})", R"({"type": "RobertaProcessing", "cls": ["<s>", 1]})", 1,
       "add_bos_token: received `false`; expected true or no such key, since tokenizer.json puts "
       "`<s>` before a text"},
  };
  for (const Fault& fault : faults)
    expect_error(start_token_files(fault.config, fault.processor, fault.bos_id), ExitCode::kBadData,
                 fault.message);
}

TEST_F(Import, TheRunVerifiesAndTrainsOn) {
  for (const bool has_start : {false, true}) {
    const std::string tokenizer = R"({"bos_token": "<s>", "add_bos_token": true})";
    const fs::path model = has_start ? start_token_files(tokenizer, "", 1) : llama(),
                   folder = directory_ / (has_start ? "start" : "plain"), run = folder / "run";
    fs::create_directories(folder);
    import_huggingface({.files = find_model_files({model}), .out = folder / "plain"});
    for (const run::Finding& finding : run::verify_run(folder / "plain").findings)
      EXPECT_EQ(finding.fault, "") << finding.subject;
    EXPECT_THROW(run::open_data(run::open_checkpoint(folder / "plain")), UserError);

    train::RunConfig config = decoder("");
    config.corpus.train = {std::string(SLUICE_SOURCE_DIR) + "/LICENSE"};
    config.corpus.prepared_dir = (folder / "prepared").string();
    config.train.steps = 4;
    config.train.threads = 1;
    import_huggingface({.files = find_model_files({model}), .out = run, .config = config});
    const auto resumed = config::load<train::RunConfig>({.file = run / "config.yaml"});
    const run::Outcome outcome =
        run::run_training({.config = resumed, .mode = store::StartMode::kResume});
    EXPECT_EQ(outcome.summary.step, 4);
    EXPECT_EQ(run::open_checkpoint(run).tokenizer->bos().has_value(), has_start);
    for (const run::Finding& finding : run::verify_run(run).findings)
      EXPECT_EQ(finding.fault, "") << finding.subject;
  }
}

}  // namespace
}  // namespace sluice::interop::test
