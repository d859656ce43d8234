#include "store/safetensors.h"

#include <cstring>
#include <numeric>

#include "base/text_format.h"
#include "tests/store/store_support.h"

namespace sluice::store {
namespace {

// Collects the written bytes.
class MemoryFile final : public OutputFile {
 public:
  using OutputFile::write;
  void write(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void sync() override {}
  void close() override {}
  std::string text;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string with_length(std::string_view header, std::string_view data = {}) {
  std::string file(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(header.size() >> (8 * i));
  return file.append(header).append(data);
}

std::string file_of(std::span<const TensorView> tensors, const Metadata& metadata = {}) {
  MemoryFile file;
  write_safetensors(file, tensors, metadata);
  return file.text;
}

// One tensor of each dtype and a few odd shapes. The content is `storage`.
std::vector<TensorView> various_tensors(std::string_view storage) {
  const std::pair<Dtype, std::vector<std::int64_t>> kinds[] = {
      {Dtype::kF32, {2, 3}}, {Dtype::kBF16, {5}},      {Dtype::kF64, {}},  {Dtype::kI64, {2, 1, 2}},
      {Dtype::kU8, {3}},     {Dtype::kBool, {1, 1}},   {Dtype::kF16, {7}}, {Dtype::kI32, {0}},
      {Dtype::kU64, {1}},    {Dtype::kI16, {3, 0, 2}}, {Dtype::kI8, {4}},  {Dtype::kU16, {2, 2}},
      {Dtype::kU32, {3}},
  };
  std::vector<TensorView> tensors;
  std::size_t at = 0;
  for (const auto& [dtype, shape] : kinds) {
    const std::size_t size = bytes_per_element(dtype) *
                             static_cast<std::size_t>(std::accumulate(
                                 shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
    tensors.push_back({"blocks.0." + std::string(name_of(dtype)) + " \"\xC3\xA9\"", dtype, shape,
                       bytes_of(storage).subspan(at, size)});
    at += size;
  }
  return tensors;
}

TEST(Safetensors, WritesTheBytesOfTheSpecification) {
  const float values[] = {1.0F, -2.5F};
  const TensorView tensor{"w", Dtype::kF32, {1, 2}, std::as_bytes(std::span(values))};
  std::string header =
      R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})";
  header.resize(120, ' ');
  std::string data(8, '\0');
  std::memcpy(data.data(), values, 8);
  EXPECT_EQ(file_of({&tensor, 1}, {{"format", "pt"}}), with_length(header, data));
}

TEST(Safetensors, RoundTripPreservesEverythingInOrder) {
  const std::string storage = pseudo_random_text(400, 1);
  const std::vector<TensorView> tensors = various_tensors(storage);
  const Metadata metadata = {{"step", "17"}, {"empty", ""}, {"quote", "\"\\\n"}};
  const std::string file = file_of(tensors, metadata);
  EXPECT_EQ(file, file_of(tensors, metadata));
  EXPECT_EQ(file.size(), safetensors_size_bytes(tensors, metadata));
  const Tensors parsed = parse_safetensors(bytes_of(file), "model.safetensors");
  EXPECT_EQ(parsed.metadata, metadata);
  ASSERT_EQ(parsed.all.size(), tensors.size());
  for (const TensorView& t : tensors) {
    const TensorView& back = parsed.at(t.name);
    EXPECT_EQ(back.dtype, t.dtype);
    EXPECT_EQ(back.shape, t.shape);
    EXPECT_TRUE(std::equal(back.bytes.begin(), back.bytes.end(), t.bytes.begin(), t.bytes.end()))
        << t.name;
  }
  const auto first =
      static_cast<std::size_t>(parsed.all.front().bytes.data() - bytes_of(file).data());
  EXPECT_EQ(first % 64, 0U);
}

TEST(Safetensors, AcceptsFilesWithoutTensors) {
  const std::string file = file_of({});
  EXPECT_EQ(file.size(), 64U);
  EXPECT_TRUE(parse_safetensors(bytes_of(file), "f").all.empty());
  EXPECT_EQ(parse_safetensors(bytes_of(with_length("{}")), "f").find("w"), nullptr);
}

TEST(Safetensors, RejectsTensorsItCouldNotRead) {
  const std::string data(8, 'x');
  const TensorView good{"w", Dtype::kF32, {2}, bytes_of(data)};
  const auto write_one = [&](const auto& change) {
    std::vector<TensorView> tensors = {good};
    change(tensors);
    file_of(tensors);
  };
  EXPECT_THROW(write_one([&](auto& t) { t.push_back(good); }), InvariantError);
  EXPECT_THROW(write_one([&](auto& t) { t[0].name = "__metadata__"; }), InvariantError);
  EXPECT_THROW(write_one([&](auto& t) { t[0].shape = {3}; }), InvariantError);
  EXPECT_THROW(write_one([&](auto& t) { t[0].shape = {-2}; }), InvariantError);
  EXPECT_THROW(write_one([&](auto& t) { t[0].shape = {1LL << 62, 1LL << 62, 2}; }), InvariantError);
  EXPECT_THROW(write_one([&](auto& t) { t[0].dtype = Dtype::kF64; }), InvariantError);
}

struct BadFile {
  std::string name, content, message;
};

// A file with this header and eight bytes of data.
BadFile bad(const std::string& name, const std::string& header, const std::string& message) {
  return {name, with_length(header, "12345678"), message};
}

std::vector<BadFile> bad_files() {
  const std::string good = R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const auto w = [](const std::string& dtype, const std::string& shape,
                    const std::string& offsets) {
    return R"({"w":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  std::string huge = with_length("{}");
  huge[7] = '\x7f';
  std::string shape65 = "[1";
  for (int i = 0; i < 64; ++i) shape65 += ",1";
  return {
      {"empty", "", "0 bytes"},
      {"short_length", "1234567", "7 bytes"},
      {"length_beyond_file", huge, "a header of"},
      {"no_header", with_length(""), "a header of 0"},
      bad("array", "[]", "not a JSON object"),
      bad("leading_blank", " {" + good + "}", "not a JSON object"),
      bad("byte_order_mark", "\xEF\xBB\xBF{" + good + "}", "not a JSON object"),
      bad("nul_after_object", "{" + good + "}" + std::string(3, '\0'), "not a JSON object"),
      bad("rest_after_object", "{" + good + "} x", "invalid JSON at byte"),
      bad("unfinished", "{" + good, "invalid JSON at byte"),
      bad("comma", "{" + good + ",}", "invalid JSON at byte"),
      bad("bad_utf8", R"({"\xff":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
          "invalid JSON at byte"),
      bad("raw_bad_utf8", "{\"\xff\":{}}", "invalid JSON at byte"),
      bad("deep", "{\"w\":" + std::string(100'000, '['), "a list"),
      bad("deep_objects", "{\"w\":{\"shape\":" + std::string(100'000, '{'), "an object"),
      bad("name_twice", "{" + good + R"(,"w":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}})",
          "two tensors named `w`"),
      bad("metadata_twice", R"({"__metadata__":{},"__metadata__":{}})", "__metadata__ twice"),
      bad("metadata_key_twice", R"({"__metadata__":{"a":"1","a":"2"}})", "metadata `a` twice"),
      bad("metadata_number", R"({"__metadata__":{"a":1}})", "the number 1"),
      bad("metadata_object", R"({"__metadata__":{"a":{}}})", "an object"),
      bad("metadata_text", R"({"__metadata__":"a"})", "the text `a`"),
      bad("tensor_null", R"({"w":null})", "null"),
      bad("tensor_text", R"({"w":"F32"})", "the text `F32`"),
      bad("no_keys", R"({"w":{}})", "fewer than three keys in tensor `w`"),
      bad("no_offsets", R"({"w":{"dtype":"F32","shape":[2]}})", "fewer than three keys"),
      bad("dtype_twice", R"({"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
          "the key `dtype`"),
      bad("unknown_key", R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})",
          "the key `x`"),
      bad("dtype_unknown", w(R"("F33")", "[2]", "[0,8]"), "dtype `F33` of tensor `w`"),
      bad("dtype_number", w("1", "[2]", "[0,8]"), "the number 1"),
      bad("shape_number", w(R"("F32")", "2", "[0,8]"), "the number 2"),
      bad("shape_negative", w(R"("F32")", "[-2]", "[0,8]"), "the number -2"),
      bad("shape_fraction", w(R"("F32")", "[2.0]", "[0,8]"), "the number 2.0"),
      bad("shape_exponent", w(R"("F32")", "[2e0]", "[0,8]"), "the number 2e0"),
      bad("shape_text", w(R"("F32")", R"(["2"])", "[0,8]"), "the text `2`"),
      bad("shape_nested", w(R"("F32")", "[[2]]", "[0,8]"), "a list"),
      bad("shape_true", w(R"("F32")", "[true]", "[0,8]"), "true or false"),
      bad("shape_too_big", w(R"("F32")", "[9223372036854775808]", "[0,8]"),
          "the extent 9223372036854775808"),
      bad("shape_beyond_64_bits", w(R"("F32")", "[18446744073709551618]", "[0,8]"),
          "the number 18446744073709551618"),
      bad("shape_overflow", w(R"("F32")", "[4611686018427387904,4,2]", "[0,8]"), "of 8 bytes"),
      bad("shape_wraps_to_size", w(R"("U8")", "[4294967296,4294967296,1]", "[0,8]"), "of 8 bytes"),
      bad("dimensions", w(R"("U8")", shape65 + "]", "[0,8]"), "more than 64 dimensions"),
      bad("size_differs", w(R"("F32")", "[1]", "[0,8]"), "of 8 bytes"),
      bad("one_offset", w(R"("F32")", "[2]", "[0]"), "fewer than two data_offsets"),
      bad("three_offsets", w(R"("F32")", "[2]", "[0,8,8]"), "the number 8"),
      bad("offsets_negative", w(R"("F32")", "[2]", "[-1,7]"), "the number -1"),
      bad("offsets_reversed", w(R"("F32")", "[2]", "[8,0]"), "at bytes 8 to 0"),
      bad("offsets_beyond", w(R"("F32")", "[4]", "[0,16]"), "at bytes 0 to 16"),
      bad("offsets_far_beyond", w(R"("U8")", "[18446744073709551615]", "[0,18446744073709551615]"),
          "the extent"),
      bad("hole_at_start", w(R"("F32")", "[1]", "[4,8]"), "at bytes 4 to 8"),
      bad("rest_of_data", w(R"("F32")", "[1]", "[0,4]"), "8 bytes of data"),
      bad("overlap",
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
          R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
          "at bytes 4 to 8"),
      bad("hole",
          R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
          R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
          "at bytes 4 to 8"),
      bad("same_place",
          R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
          R"("b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
          "at bytes 0 to 8"),
      {"data_without_tensors", with_length("{}", "1"), "1 bytes of data"},
  };
}

class SafetensorsBadFile : public ::testing::TestWithParam<BadFile> {};

TEST_P(SafetensorsBadFile, IsRejectedInOneLine) {
  const std::string message = error_of(ExitCode::kBadData, [&] {
    parse_safetensors(bytes_of(GetParam().content), "bad.safetensors");
  });
  EXPECT_NE(message.find("bad.safetensors"), std::string::npos) << message;
  EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
  EXPECT_LT(message.size(), 400U);
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsBadFile, ::testing::ValuesIn(bad_files()),
                         [](const auto& param) { return param.param.name; });

// Not among bad_files(), which every test of the program creates.
TEST(Safetensors, RejectsAHeaderAboveTheLimit) {
  const std::string file = with_length(std::string(kMaxHeaderBytes + 1, ' '));
  const std::string message =
      error_of(ExitCode::kBadData, [&] { parse_safetensors(bytes_of(file), "bad.safetensors"); });
  EXPECT_NE(message.find("a header of 100000001"), std::string::npos) << message;
}

TEST(Safetensors, NamesTheMissingTensor) {
  const std::string file = file_of({});
  const Tensors tensors = parse_safetensors(bytes_of(file), "m.safetensors");
  const std::string message = error_of(ExitCode::kBadData, [&] { tensors.at("head.weight"); });
  EXPECT_NE(message.find("head.weight"), std::string::npos);
  EXPECT_NE(message.find("m.safetensors"), std::string::npos);
}

TEST(Safetensors, ManyTensorsDoNotTakeQuadraticTime) {
  std::vector<TensorView> tensors;
  for (int i = 0; i < 200'000; ++i) tensors.push_back({cat('t', i), Dtype::kF32, {0}, {}});
  const std::string file = file_of(tensors);
  EXPECT_EQ(parse_safetensors(bytes_of(file), "f").all.size(), tensors.size());
}

// ---- comparison with the reference implementation ----

constexpr std::string_view kPythonReads = R"(
import sys, safetensors
tensors = dict(safetensors.deserialize(open(sys.argv[1], 'rb').read()))
storage = open(sys.argv[2], 'rb').read()
at = 0
for line in open(sys.argv[3], encoding='utf-8'):
    name, dtype, *shape = line.rstrip('\n').split('\t')
    tensor = tensors.pop(name)
    size = len(tensor['data'])
    assert tensor['dtype'] == dtype, (name, tensor)
    assert list(map(int, shape)) == list(tensor['shape']), (name, tensor)
    assert bytes(tensor['data']) == storage[at:at + size], name
    at += size
assert not tensors and at > 0
with safetensors.safe_open(sys.argv[1], framework='np') as f:
    assert f.metadata() == {'step': '17'}, f.metadata()
print('ok')
)";

TEST(Safetensors, PythonReadsWrittenFiles) {
  const ScratchDirectory scratch;
  const std::string storage = pseudo_random_text(400, 2);
  const std::vector<TensorView> tensors = various_tensors(storage);
  std::string list;
  for (const TensorView& t : tensors) {
    list += t.name + "\t" + std::string(name_of(t.dtype));
    for (std::int64_t extent : t.shape) list += cat('\t', extent);
    list += "\n";
  }
  write_text(scratch / "f", file_of(tensors, {{"step", "17"}}));
  write_text(scratch / "storage", storage);
  write_text(scratch / "list", list);
  const std::string arguments[] = {(scratch / "f").string(), (scratch / "storage").string(),
                                   (scratch / "list").string()};
  EXPECT_EQ(run_python(kPythonReads, arguments), "ok\n");
}

constexpr std::string_view kPythonWrites = R"(
import sys, numpy, safetensors.numpy
safetensors.numpy.save_file({
    'float': numpy.arange(6, dtype=numpy.float32).reshape(2, 3) / 4,
    'int': numpy.array([-1, 2**62], dtype=numpy.int64),
    'byte': numpy.array([[7]], dtype=numpy.uint8),
    'none': numpy.zeros((0, 4), dtype=numpy.float64)}, sys.argv[1], metadata={'k': 'v\u00e9'})
)";

template <class T>
std::vector<T> values_of(const TensorView& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

TEST(Safetensors, ReadsFilesWrittenByPython) {
  const ScratchDirectory scratch;
  const std::string path = (scratch / "f.safetensors").string();
  run_python(kPythonWrites, {&path, 1});
  const MappedFile file(path);
  const Tensors tensors = parse_safetensors(file.bytes(), path);
  EXPECT_EQ(tensors.metadata, (Metadata{{"k", "v\xC3\xA9"}}));
  ASSERT_EQ(tensors.all.size(), 4U);
  EXPECT_EQ(values_of<float>(tensors.at("float")),
            (std::vector<float>{0, 0.25F, 0.5F, 0.75F, 1, 1.25F}));
  EXPECT_EQ(tensors.at("float").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(values_of<std::int64_t>(tensors.at("int")),
            (std::vector<std::int64_t>{-1, std::int64_t{1} << 62}));
  EXPECT_EQ(values_of<std::uint8_t>(tensors.at("byte")), std::vector<std::uint8_t>{7});
  EXPECT_EQ(tensors.at("none").shape, (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(tensors.at("none").dtype, Dtype::kF64);
}

// ---- hostile files ----

// Whether the file parses. If it does, every view must be inside the file and have the size of its
// dtype and shape.
bool parses_safely(const std::string& file) {
  try {
    const Tensors tensors = parse_safetensors(bytes_of(file), "fuzzed");
    std::size_t covered = 0;
    for (const TensorView& t : tensors.all) {
      EXPECT_GE(t.bytes.data(), bytes_of(file).data());
      EXPECT_LE(t.bytes.data() + t.bytes.size(), bytes_of(file).data() + file.size());
      std::size_t elements = 1;
      for (std::int64_t extent : t.shape) elements *= static_cast<std::size_t>(extent);
      EXPECT_EQ(elements * bytes_per_element(t.dtype), t.bytes.size());
      covered += t.bytes.size();
    }
    EXPECT_LE(covered + 8, file.size());
    return true;
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData) << error.what();
    return false;
  }
}

// Half of the mutations adjust the length field to the changed header; otherwise few would pass it.
std::string fuzzed_file(const std::string& file, std::mt19937_64& random) {
  if (random() % 2 == 0) return mutated(file, random);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  return with_length(mutated(file.substr(8, length), random), file.substr(8 + length));
}

std::string seed_file() {
  const std::string storage = pseudo_random_text(400, 3);
  const std::vector<TensorView> tensors = various_tensors(storage);
  return file_of(std::span(tensors).first(5), {{"a", "b"}});
}

TEST(Safetensors, FuzzedFilesAreReadSafelyOrRejected) {
  const std::string seed = seed_file();
  std::uint64_t num_accepted = 0;
  fuzz(150'000,
       [&](std::mt19937_64& random) { num_accepted += parses_safely(fuzzed_file(seed, random)); });
  EXPECT_GT(num_accepted, 0U);
}

constexpr std::string_view kPythonAcceptsAll = R"(
import struct, sys, safetensors
data = open(sys.argv[1], 'rb').read()
at = count = 0
while at < len(data):
    size, = struct.unpack_from('<Q', data, at)
    safetensors.deserialize(data[at + 8:at + 8 + size])
    at += 8 + size
    count += 1
print(count)
)";

// Sluice may be stricter than the reference implementation, but not more lenient.
TEST(Safetensors, PythonAcceptsEveryAcceptedFile) {
  const ScratchDirectory scratch;
  const std::string seed = seed_file();
  std::mt19937_64 random(5);
  std::string accepted;
  int count = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string file = fuzzed_file(seed, random);
    if (file == seed || !parses_safely(file)) continue;
    accepted += with_length(file);
    ++count;
  }
  EXPECT_GT(count, 100);
  const std::string path = (scratch / "accepted").string();
  write_text(path, accepted);
  EXPECT_EQ(run_python(kPythonAcceptsAll, {&path, 1}), std::to_string(count) + "\n");
}

}  // namespace
}  // namespace sluice::store
