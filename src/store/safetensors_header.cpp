#include "store/safetensors_header.h"

#include <limits>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text_format.h"
#include "store/safetensors.h"

namespace sluice::store {
namespace {

constexpr std::string_view kExpected =
    "a safetensors header: a JSON object of {dtype, shape, data_offsets} by tensor name";

// Event handlers for nlohmann's SAX parser. A handler returns false and sets reason() for an event
// that is invalid in the current state.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(std::map<std::string, std::string>& metadata) : metadata_(metadata) {}

  std::vector<HeaderEntry> take_entries() { return std::move(entries_); }
  const std::string& reason() const { return reason_; }

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("true or false"); }
  bool number_integer(number_integer_t value) override { return refuse(cat("the number ", value)); }
  bool number_float(number_float_t, const string_t& text) override {
    return refuse(cat("the number ", printable(text)));
  }
  bool binary(binary_t&) override { return refuse("binary"); }

  bool number_unsigned(number_unsigned_t value) override {
    const bool is_offset = state_ == State::kOffsets && num_offsets_ < 2;
    if (state_ != State::kShape && !is_offset) return refuse(cat("the number ", value));
    HeaderEntry& entry = entries_.back();
    if (state_ == State::kShape) {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return refuse(cat("the extent ", value));
      if (entry.shape.size() == kMaxDimensions)
        return refuse(cat("a shape of more than ", kMaxDimensions, " dimensions"));
      entry.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    (num_offsets_ == 0 ? entry.begin : entry.end) = value;
    ++num_offsets_;
    return true;
  }

  bool string(string_t& value) override {
    if (state_ == State::kMetadataValue) {
      state_ = State::kMetadata;
      if (metadata_.emplace(key_, value).second) return true;
      return refuse(cat("metadata `", printable(key_), "` twice"));
    }
    if (state_ != State::kDtypeValue) return refuse(cat("the text `", printable(value), "`"));
    entries_.back().dtype = value;
    state_ = State::kTensor;
    return true;
  }

  bool start_object(std::size_t) override {
    if (state_ == State::kStart) return enter(State::kFile);
    if (state_ == State::kMetadataStart) return enter(State::kMetadata);
    if (state_ != State::kTensorStart) return refuse("an object");
    entries_.emplace_back().name = key_;
    has_dtype_ = has_shape_ = has_offsets_ = false;
    return enter(State::kTensor);
  }

  bool key(string_t& value) override {
    if (state_ == State::kFile) return file_key(value);
    if (state_ == State::kTensor) return tensor_key(value);
    key_ = value;
    return enter(State::kMetadataValue);
  }

  bool end_object() override {
    if (state_ == State::kFile) return enter(State::kEnd);
    if (state_ == State::kTensor && !(has_dtype_ && has_shape_ && has_offsets_))
      return refuse("fewer than three keys");
    return enter(State::kFile);
  }

  bool start_array(std::size_t) override {
    if (state_ == State::kShapeStart) return enter(State::kShape);
    if (state_ == State::kOffsetsStart) return enter(State::kOffsets);
    return refuse("a list");
  }

  bool end_array() override {
    if (state_ == State::kOffsets && num_offsets_ != 2)
      return refuse("fewer than two data_offsets");
    return enter(State::kTensor);
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    reason_ = cat("invalid JSON at byte ", position, " of the header");
    return false;
  }

 private:
  // kXStart: after the key, before the value.
  enum class State {
    kStart,
    kFile,
    kMetadataStart,
    kMetadata,
    kMetadataValue,
    kTensorStart,
    kTensor,
    kDtypeValue,
    kShapeStart,
    kShape,
    kOffsetsStart,
    kOffsets,
    kEnd
  };

  bool enter(State state) {
    state_ = state;
    return true;
  }

  bool refuse(std::string what) {
    const bool in_tensor = state_ >= State::kTensor && state_ < State::kEnd;
    reason_ = in_tensor ? cat(what, " in tensor `", printable(entries_.back().name), "`")
                        : std::move(what);
    return false;
  }

  bool file_key(const std::string& name) {
    key_ = name;
    if (name != kMetadataKey) return enter(State::kTensorStart);
    if (has_metadata_) return refuse("__metadata__ twice");
    has_metadata_ = true;
    return enter(State::kMetadataStart);
  }

  bool tensor_key(const std::string& name) {
    if (name == "dtype" && !has_dtype_) return has_dtype_ = true, enter(State::kDtypeValue);
    if (name == "shape" && !has_shape_) return has_shape_ = true, enter(State::kShapeStart);
    if (name != "data_offsets" || has_offsets_)
      return refuse(cat("the key `", printable(name), "`"));
    has_offsets_ = true;
    num_offsets_ = 0;
    return enter(State::kOffsetsStart);
  }

  std::map<std::string, std::string>& metadata_;
  std::vector<HeaderEntry> entries_;
  std::string key_, reason_;
  State state_ = State::kStart;
  bool has_metadata_ = false, has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  int num_offsets_ = 0;
};

}  // namespace

std::vector<HeaderEntry> read_header(std::string_view json, std::string_view source,
                                     std::map<std::string, std::string>& metadata) {
  // The parser treats a NUL as the end of input and skips a byte-order mark; neither is valid in a
  // header.
  if (json.find('\0') != std::string_view::npos || !json.starts_with('{')) {
    fail(ExitCode::kBadData, source, cat("not a JSON object; expected ", kExpected));
  }
  HeaderReader reader(metadata);
  if (!nlohmann::json::sax_parse(json, &reader))
    fail(ExitCode::kBadData, source, reader.reason(), kExpected);
  return reader.take_entries();
}

}  // namespace sluice::store
