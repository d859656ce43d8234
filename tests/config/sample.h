// A configuration with every kind of member, and helpers to read it.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "config/config.h"

namespace sluice::config::sample {

enum class Format { kText, kLines, kParagraphs };
constexpr auto names_of(Format) {
  return std::array{std::pair{Format::kText, std::string_view("text")},
                    std::pair{Format::kLines, std::string_view("lines")},
                    std::pair{Format::kParagraphs, std::string_view("paragraphs")}};
}

struct Variant {
  std::string_view name, summary;
  int width;
};
inline constexpr Variant kVariants[] = {{"relu", "max(x, 0)", 4},
                                        {"swiglu", "swish gate | two products", 3},
                                        {"glu", "sigmoid gate", 3}};

struct AdamW {
  static constexpr std::string_view kind = "adamw";
  double lr = 3e-4;
  std::array<double, 2> betas{0.9, 0.95};
  static constexpr auto fields() {
    return std::tuple{field<&AdamW::lr>("Peak learning rate.", Positive{}),
                      field<&AdamW::betas>("Decay of the moments.", Between{0, 1})};
  }
};
struct Muon {
  static constexpr std::string_view kind = "muon";
  double lr = 0.02;
  double momentum = 0.95;
  static constexpr auto fields() {
    return std::tuple{field<&Muon::lr>("Peak learning rate.", Positive{}),
                      field<&Muon::momentum>("Momentum.", Between{0, 1})};
  }
};
struct Plain {
  static constexpr std::string_view kind = "plain";
  static constexpr auto fields() { return std::tuple{}; }
};

struct Model {
  std::int64_t d_model = 192;
  std::int64_t num_heads = 3;
  RowOf<kVariants> ffn{"swiglu"};
  WordOr<"match", std::int64_t> d_ff;
  bool bias = false;
  static constexpr auto fields() {
    return std::tuple{field<&Model::d_model>("Width.", Positive{}, MultipleOf{8}),
                      field<&Model::num_heads>("Heads.", Between{1, 128}),
                      field<&Model::ffn>("The feed-forward layer."),
                      field<&Model::d_ff>("Its width, or that of the reference.", Positive{}),
                      field<&Model::bias>("Biases.", Affects::kExecution)};
  }
  static void check(const Model& model, Problems& problems) {
    if (model.d_model % model.num_heads != 0)
      problems.add("num_heads", std::to_string(model.num_heads), "a divisor of d_model");
  }
};

struct Run {
  std::string name = "run";
  std::uint64_t seed = 1;
  std::vector<std::string> files;
  std::optional<std::string> note;
  std::optional<double> limit;
  Auto<std::string> device;
  Format format = Format::kParagraphs;
  Bytes memory{64 << 20};
  Seconds wait{30};
  std::vector<Muon> stages;
  std::optional<Muon> extra;
  static constexpr auto fields() {
    return std::tuple{field<&Run::name>("Name of the run.", NonEmpty{}),
                      field<&Run::seed>("Seed."),
                      field<&Run::files>("Files."),
                      field<&Run::note>("A note."),
                      field<&Run::limit>("A limit.", AtLeast{0.5}),
                      field<&Run::device>("Device."),
                      field<&Run::format>("`text`, `lines` or `paragraphs`."),
                      field<&Run::memory>("Memory.", Positive{}),
                      field<&Run::wait>("Time."),
                      field<&Run::stages>("Stages."),
                      field<&Run::extra>("One more.")};
  }
};

struct Root {
  Run run;
  Model model;
  std::variant<AdamW, Muon, Plain> optimizer;
  std::variant<AdamW, Muon, Plain> second = Muon{.lr = 0.5, .momentum = 0.25};
  static constexpr auto fields() {
    return std::tuple{field<&Root::run>("About the run.", Affects::kCadence),
                      field<&Root::model>("The model."), field<&Root::optimizer>("The optimizer."),
                      field<&Root::second>("Another one.")};
  }
};

// The message of the UserError that `call` must throw, with its exit code.
inline std::string error_of(const std::function<void()>& call, ExitCode code = ExitCode::kUsage) {
  try {
    call();
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no UserError";
  return "";
}

// The problems of an invalid text.
inline std::string problems_of(std::string_view yaml) {
  return error_of([&] { parse<Root>(yaml, "c.yaml"); });
}

inline Root with_overrides(std::vector<std::string> overrides) {
  return load<Root>({.file = {}, .overrides = std::move(overrides)});
}
inline std::string override_problems(std::vector<std::string> overrides) {
  return error_of([&] { with_overrides(std::move(overrides)); });
}

}  // namespace sluice::config::sample
