// What cannot be exported is refused, naming the field; a failed export leaves nothing.
#include "base/error.h"
#include "base/text_format.h"
#include "interop/export_gguf.h"
#include "interop/export_huggingface.h"
#include "tests/interop/interop_support.h"

// Included last: its namespace sluice::testing would hide GoogleTest's.
#include "tests/base/temporary_directory.h"

namespace sluice::interop::test {
namespace {

namespace fs = std::filesystem;

template <class Export>
std::string error_of(const Export& run) {
  try {
    run();
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "no error";
}

TEST(Export, RefusesWhatTransformersLacks) {
  const testing::TemporaryDirectory directory;
  const std::vector<std::pair<std::string, std::string>> refused{
      {"position: {type: sinusoidal}",
       "model.position.type: received sinusoidal; expected rope or learned, which transformers "
       "has"},
      {"position: {type: none}",
       "model.position.type: received none; expected rope or learned, which transformers has"},
      {"norm: {type: layernorm}",
       "model.norm.type: received layernorm; expected rmsnorm (LlamaForCausalLM, for "
       "position.type rope)"},
      {"num_heads: 3, head_dim: 8",
       "model.num_heads: received 3; expected a divisor of d_model 32 (LlamaForCausalLM, for "
       "position.type rope)"},
      {"position: {type: learned}",
       "model.norm.type: received rmsnorm; expected layernorm (GPT2LMHeadModel, for "
       "position.type learned)"},
      {"position: {type: learned}, norm: {type: layernorm}",
       "model.bias: received false; expected true (GPT2LMHeadModel, for position.type learned)"},
      {"position: {type: learned}, norm: {type: layernorm}, bias: true",
       "model.ffn: received swiglu; expected a variant without a gate (GPT2LMHeadModel, for "
       "position.type learned)"},
      {"position: {type: learned}, norm: {type: layernorm}, bias: true, ffn: relu, "
       "num_kv_heads: 2",
       "model.num_kv_heads: received 2; expected num_heads 4 (GPT2LMHeadModel, for position.type "
       "learned)"},
  };
  int number = 0;
  for (const auto& [model, message] : refused) {
    const std::string name = std::to_string(number++);
    train::RunConfig config = decoder("");
    if (model.starts_with("num_heads")) {
      auto& c = std::get<model::DecoderConfig>(config.model);
      c.num_heads = 3;
      c.head_dim = std::int64_t{8};
    } else {
      config = decoder(model);
    }
    const fs::path checkpoint = save_random(config, directory.path(), name);
    EXPECT_EQ(error_of([&] { export_huggingface({.run = checkpoint, .out = directory / "out"}); }),
              message);
    EXPECT_FALSE(fs::exists(directory / "out"));
  }
  for (const std::string name :
       {"drelu", "swiglu_clamped", "swish_beta", "swiglu_beta", "xielu", "polynorm"}) {
    const bool gated = nn::FfnName(name)->gated;
    const auto expect_refused = [&](const train::RunConfig& config, std::string_view layout) {
      const fs::path run = save_random(config, directory.path(), cat(name, layout));
      EXPECT_EQ(error_of([&] { export_huggingface({.run = run, .out = directory / "out"}); }),
                cat("model.ffn: received ", name, "; expected a variant whose activation ", layout,
                    " has"));
      EXPECT_FALSE(fs::exists(directory / "out"));
    };
    expect_refused(decoder("ffn: " + name), gated ? "LlamaForCausalLM" : "ArceeForCausalLM");
    expect_refused(encoder_decoder("ffn: " + name), "T5ForConditionalGeneration");
    if (!gated)
      expect_refused(
          decoder("position: {type: learned}, norm: {type: layernorm}, bias: true, ffn: " + name),
          "GPT2LMHeadModel");
  }
  const fs::path t5 =
      save_random(encoder_decoder("norm: {type: layernorm}"), directory.path(), "t");
  EXPECT_EQ(error_of([&] { export_huggingface({.run = t5, .out = directory / "out"}); }),
            "model.norm.type: received layernorm; expected rmsnorm (T5ForConditionalGeneration)");
}

TEST(Export, RefusesWhatLlamaCppLacks) {
  const testing::TemporaryDirectory directory;
  const auto refused = [&](const train::RunConfig& config, const std::string& message) {
    static int number = 0;
    const fs::path checkpoint =
        save_random(config, directory.path(), "run" + std::to_string(number++));
    EXPECT_EQ(error_of([&] { export_gguf({.run = checkpoint, .out = directory / "out.gguf"}); }),
              message + ", as in llama.cpp");
    EXPECT_FALSE(fs::exists(directory / "out.gguf"));
  };
  for (const nn::FfnVariant& variant : nn::kFfnVariants) {
    if (variant.name == "swiglu" || variant.name == "squared_relu") continue;
    const std::string name(variant.name);
    refused(decoder("ffn: " + name),
            "model.ffn: received " + name + "; expected swiglu (llama) or squared_relu (arcee)");
  }
  refused(decoder("bias: true"), "model.bias: received true; expected false");
  refused(decoder("norm: {type: layernorm}"),
          "model.norm.type: received layernorm; expected rmsnorm");
  refused(decoder("position: {type: learned}"),
          "model.position.type: received no rotation of queries and keys; expected rope");
  refused(encoder_decoder(""), "model.type: received encoder_decoder; expected decoder");
}

TEST(Export, NeedsANewPlaceAndAStepThatIsSaved) {
  const testing::TemporaryDirectory directory;
  const fs::path checkpoint = save_random(decoder(""), directory.path(), "run");
  write(directory / "file", "x");
  fs::create_directories(directory / "full/inner");
  for (const char* name : {"file", "full"}) {
    EXPECT_NE(error_of([&] {
                export_huggingface({.run = checkpoint, .out = directory / name});
              }).find("(exists); expected a new or empty directory"),
              std::string::npos);
  }
  EXPECT_NE(error_of([&] {
              export_gguf({.run = checkpoint, .out = directory / "file"});
            }).find("(exists); expected a new file"),
            std::string::npos);
  fs::create_directories(directory / "empty");
  export_huggingface({.run = checkpoint, .out = directory / "empty/"});
  EXPECT_TRUE(fs::exists(directory / "empty/config.json"));
  try {
    open_source({.run = directory / "run", .step = 7});
    ADD_FAILURE() << "no error";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kMissingInput);
    EXPECT_STREQ(error.what(), "--checkpoint: received 7; expected a saved step: 0");
  }
}

}  // namespace
}  // namespace sluice::interop::test
