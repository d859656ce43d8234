#include "store/manifest.h"

#include "tests/store/store_support.h"

namespace sluice::store {
namespace {

Manifest example() {
  return {"0.1.0",
          4200,
          {{"config_hash", "00ff"}, {"tokenizer_hash", "ab\"\n"}},
          {{"model.safetensors", 1ULL << 40, hash_of("model")}, {"config.yaml", 0, hash_of("")}}};
}

TEST(Manifest, RoundTrips) {
  EXPECT_EQ(parse_manifest(to_json(example()), "m"), example());
  const Manifest bare{"", 0, {}, {}};
  EXPECT_EQ(parse_manifest(to_json(bare), "m"), bare);
  EXPECT_EQ(to_json(example()), to_json(example()));
}

TEST(Manifest, IsJsonWithTheDocumentedKeys) {
  const ScratchDirectory scratch;
  const std::string path = (scratch / "manifest.json").string();
  write_text(path, to_json(example()));
  constexpr std::string_view program = R"(
import json, sys
m = json.load(open(sys.argv[1]))
print(m['format'], m['program_version'], m['step'], sorted(m['notes']),
      m['files'][0]['name'], m['files'][0]['size_bytes'], m['files'][1]['xxh3_128'])
)";
  // The last value is the published XXH3-128 of the empty input.
  EXPECT_EQ(run_python(program, {&path, 1}),
            "1 0.1.0 4200 ['config_hash', 'tokenizer_hash'] model.safetensors 1099511627776 "
            "99aa06d3014798d86001c324468d497f\n");
}

TEST(Manifest, DetectsEveryFlippedBit) {
  const std::string json = to_json(example());
  for (std::size_t bit = 0; bit < 8 * json.size(); ++bit) {
    std::string flipped = json;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_THROW(parse_manifest(flipped, "m"), UserError) << "bit " << bit;
  }
}

TEST(Manifest, DetectsEveryTruncation) {
  const std::string json = to_json(example());
  for (std::size_t size = 0; size < json.size(); ++size)
    EXPECT_THROW(parse_manifest(json.substr(0, size), "m"), UserError) << size;
  EXPECT_THROW(parse_manifest(json + "\n", "m"), UserError);
}

TEST(Manifest, RejectsNamesOutsideTheDirectory) {
  for (const char* name : {"", ".", "..", "../x", "a/b", "/etc/passwd", "manifest.json"}) {
    Manifest manifest = example();
    manifest.files[0].name = name;
    EXPECT_THROW(to_json(manifest), InvariantError) << name;
  }
  Manifest twice = example();
  twice.files[1].name = twice.files[0].name;
  EXPECT_THROW(to_json(twice), InvariantError);
  Manifest negative = example();
  negative.step = -1;
  EXPECT_THROW(to_json(negative), InvariantError);
}

TEST(Manifest, ReportsTheError) {
  const auto message = [](const std::string& json) {
    return error_of(ExitCode::kBadData, [&] { parse_manifest(json, "step-1/manifest.json"); });
  };
  EXPECT_NE(message("").find("step-1/manifest.json: not a JSON object"), std::string::npos);
  EXPECT_NE(message("[]").find("not a JSON object"), std::string::npos);
  EXPECT_NE(message("{}").find(": format: "), std::string::npos);
  EXPECT_NE(message(R"({"format": 2})").find("manifest format 2; expected format 1"),
            std::string::npos);
  EXPECT_NE(message(std::string((1 << 20) + 1, ' ')).find("1048577 bytes"), std::string::npos);
  EXPECT_NE(message(std::string(1 << 20, '[')).find("not a JSON object"), std::string::npos);
  std::string deep(1 << 20, '[');
  deep.replace(0, 9, "{\"files\":");
  deep.replace(deep.size() / 2, std::string::npos, std::string(deep.size() / 2 - 9, ']') + "}");
  EXPECT_FALSE(message(deep).empty());
}

TEST(Manifest, FindsNotesByName) {
  const Manifest manifest = example();
  EXPECT_EQ(manifest.note("config_hash", "m"), "00ff");
  const std::string message =
      error_of(ExitCode::kBadData, [&] { manifest.note("corpus_hash", "step-3/manifest.json"); });
  EXPECT_NE(message.find("corpus_hash"), std::string::npos);
  EXPECT_NE(message.find("step-3/manifest.json"), std::string::npos);
}

TEST(Manifest, RejectsFuzzedText) {
  const std::string json = to_json(example());
  fuzz(50'000, [&](std::mt19937_64& random) {
    const std::string text = mutated(json, random);
    if (text == json) return;
    try {
      parse_manifest(text, "fuzzed");
      ADD_FAILURE() << "accepted: " << text;
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
    }
  });
}

}  // namespace
}  // namespace sluice::store
