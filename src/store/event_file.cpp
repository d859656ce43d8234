#include "store/event_file.h"

#include <bit>
#include <boost/crc.hpp>
#include <charconv>
#include <optional>

#include "base/little_endian.h"
#include "base/wire_format.h"

namespace sluice::store {
namespace {

// Boost.CRC, header-only, is in the Boost package that stats/ needs anyway.
std::uint32_t masked_crc(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return std::rotr(crc.checksum(), 15) + 0xA282EAD8U;
}

// Event: wall_time 1, step 2, file_version 3, summary 5.
WireWriter event_of(EventTime time) {
  WireWriter event;
  event.add_double(1, time.wall_s);
  if (time.step != 0) event.add_varint(2, static_cast<std::uint64_t>(time.step));
  return event;
}

// Summary: value 1. Value: tag 1, simple_value 2, histo 5, tensor 8, metadata 9.
std::string summary_event(EventTime time, const WireWriter& summary) {
  return event_of(time).add_message(5, summary).bytes();
}

// SummaryMetadata: plugin_data 1. PluginData: plugin_name 1, content 2.
WireWriter metadata_of(std::string_view plugin, std::string_view content) {
  WireWriter plugin_data;
  plugin_data.add_bytes(1, plugin);
  if (!content.empty()) plugin_data.add_bytes(2, content);
  return WireWriter().add_message(1, plugin_data);
}

// google.protobuf.Value: number_value 2, string_value 3, bool_value 4.
WireWriter value_of(const std::string& text) {
  if (text == "true" || text == "false") return WireWriter().add_varint(4, text == "true");
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const bool is_number = error == std::errc() && stop == end && !text.empty();
  return is_number ? WireWriter().add_double(2, number) : WireWriter().add_bytes(3, text);
}

struct ValueParts {
  std::string_view tag;
  bool has_metadata = false;
};

// The first value of a summary; nullopt if the bytes are not a Summary.
std::optional<ValueParts> first_value(std::string_view summary) {
  WireReader values(summary);
  const std::optional<WireField> value = values.next();
  if (!value) return values.failed() ? std::nullopt : std::optional(ValueParts{});
  if (value->id != 1 || value->type != WireField::Type::kBytes) return std::nullopt;
  ValueParts parts;
  WireReader fields(value->bytes);
  while (const std::optional<WireField> field = fields.next()) {
    if (field->type != WireField::Type::kBytes) continue;
    if (field->id == 1) parts.tag = field->bytes;
    parts.has_metadata = parts.has_metadata || field->id == 9;
  }
  return fields.failed() ? std::nullopt : std::optional(parts);
}

std::optional<EventFrame> parsed(std::string_view event) {
  EventFrame frame;
  WireReader fields(event);
  while (const std::optional<WireField> field = fields.next()) {
    if (field->id == 1 && field->type == WireField::Type::kFixed64)
      frame.time.wall_s = std::bit_cast<double>(field->number);
    if (field->id == 2 && field->type == WireField::Type::kVarint)
      frame.time.step = static_cast<std::int64_t>(field->number);
    if (field->type != WireField::Type::kBytes) continue;
    if (field->id == 3) frame.is_header = true;
    if (field->id != 5) continue;
    const std::optional<ValueParts> value = first_value(field->bytes);
    if (!value) return std::nullopt;
    frame.tag = value->tag;
    frame.is_header = frame.is_header || (value->has_metadata && value->tag != kSamplesTag);
  }
  return fields.failed() ? std::nullopt : std::optional(frame);
}

constexpr std::size_t kHeadBytes = 12, kTailBytes = 4;

}  // namespace

std::string version_event(double wall_s) {
  return event_of({wall_s, 0}).add_bytes(3, "brain.Event:2").bytes();
}

std::string scalar_event(EventTime time, std::span<const Scalar> scalars) {
  WireWriter summary;
  for (const Scalar& scalar : scalars)
    summary.add_message(
        1, WireWriter().add_bytes(1, scalar.tag).add_float(2, static_cast<float>(scalar.value)));
  return summary_event(time, summary);
}

// HistogramProto: min 1, max 2, num 3, sum 4, sum_squares 5, bucket_limit 6, bucket 7.
std::string histogram_event(EventTime time,
                            std::span<const std::pair<std::string, Histogram>> histograms) {
  WireWriter summary;
  for (const auto& [tag, histogram] : histograms) {
    WireWriter proto;
    proto.add_double(1, histogram.min)
        .add_double(2, histogram.max)
        .add_double(3, static_cast<double>(histogram.num_values))
        .add_double(4, histogram.sum)
        .add_double(5, histogram.sum_squares)
        .add_packed_doubles(6, histogram.limits)
        .add_packed_doubles(7, histogram.counts);
    summary.add_message(1, WireWriter().add_bytes(1, tag).add_message(5, proto));
  }
  return summary_event(time, summary);
}

// TensorProto: dtype 1 (DT_STRING = 7), tensor_shape 2, string_val 8. TensorShapeProto: dim 2.
// Dim: size 1.
std::string text_event(EventTime time, std::string_view tag, std::string_view markdown) {
  const WireWriter shape = WireWriter().add_message(2, WireWriter().add_varint(1, 1));
  WireWriter tensor;
  tensor.add_varint(1, 7).add_message(2, shape).add_bytes(8, markdown);
  WireWriter value;
  value.add_bytes(1, tag).add_message(8, tensor).add_message(9, metadata_of("text", ""));
  return summary_event(time, WireWriter().add_message(1, value));
}

// HParamsPluginData: session_start_info 3. SessionStartInfo: hparams 1 (a map: key 1, value 2),
// start_time_secs 5.
std::string hparams_event(double wall_s,
                          std::span<const std::pair<std::string, std::string>> settings) {
  WireWriter start;
  for (const auto& [name, text] : settings)
    start.add_message(1, WireWriter().add_bytes(1, name).add_message(2, value_of(text)));
  start.add_double(5, wall_s);
  const WireWriter data = WireWriter().add_message(3, start);
  WireWriter value;
  value.add_bytes(1, "_hparams_/session_start_info")
      .add_message(9, metadata_of("hparams", data.bytes()));
  return summary_event({wall_s, 0}, WireWriter().add_message(1, value));
}

std::string framed(std::string_view event) {
  std::string frame;
  append_little_endian(frame, event.size(), 8);
  append_little_endian(frame, masked_crc(frame), 4);
  frame += event;
  append_little_endian(frame, masked_crc(event), 4);
  return frame;
}

EventFrames read_event_frames(std::string_view content) {
  EventFrames found;
  while (content.size() - found.num_valid_bytes >= kHeadBytes + kTailBytes) {
    const std::string_view rest = content.substr(found.num_valid_bytes);
    const std::uint64_t size = read_little_endian(rest, 0, 8);
    if (masked_crc(rest.substr(0, 8)) != read_little_endian(rest, 8, 4)) break;
    if (size > rest.size() - kHeadBytes - kTailBytes) break;
    const std::string_view event = rest.substr(kHeadBytes, size);
    if (masked_crc(event) != read_little_endian(rest, kHeadBytes + size, 4)) break;
    std::optional<EventFrame> frame = parsed(event);
    if (!frame) break;
    frame->frame = rest.substr(0, kHeadBytes + size + kTailBytes);
    found.num_valid_bytes += frame->frame.size();
    found.frames.push_back(*frame);
  }
  return found;
}

}  // namespace sluice::store
