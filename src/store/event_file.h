// TensorBoard event files: TFRecord frames, each with one `Event` message.
//
//   frame = length (uint64) | crc(length) | message | crc(message), little-endian; crc is the
//   CRC-32C, rotated right by 15 bits plus 0xa282ead8
//
// Sources: https://www.tensorflow.org/tutorials/load_data/tfrecord (frames),
// tensorboard/compat/proto/{event,summary,histogram,tensor}.proto and
// tensorboard/plugins/hparams/plugin_data.proto (messages).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::store {

struct EventTime {
  double wall_s = 0;  // since 1970
  std::int64_t step = 0;
};

struct Scalar {
  std::string_view tag;
  double value = 0;  // stored as float32
};

// Counts of values in adjacent buckets: bucket i holds the values in (limits[i - 1], limits[i]].
struct Histogram {
  double min = 0, max = 0, sum = 0, sum_squares = 0;
  std::uint64_t num_values = 0;
  std::vector<double> limits, counts;
};

// Messages, not framed.
std::string version_event(double wall_s);  // must be the first of a file
std::string scalar_event(EventTime time, std::span<const Scalar> scalars);
std::string histogram_event(EventTime time,
                            std::span<const std::pair<std::string, Histogram>> histograms);
// The tag of texts that belong to a step; other texts describe the run.
inline constexpr std::string_view kSamplesTag = "samples/text_summary";
std::string text_event(EventTime time, std::string_view tag, std::string_view markdown);
// The settings of a run for the HPARAMS tab: numbers and booleans as such, anything else as text.
std::string hparams_event(double wall_s,
                          std::span<const std::pair<std::string, std::string>> settings);

// The event as a frame.
std::string framed(std::string_view event);

// One frame of a file. Views into the file's content.
struct EventFrame {
  std::string_view frame, tag;  // `tag`: of the first value; empty if there is none
  EventTime time;
  bool is_header = false;  // version, text or settings: without a point of a curve
};
struct EventFrames {
  std::vector<EventFrame> frames;
  std::size_t num_valid_bytes = 0;  // up to the first damaged frame
};
// Reads frames up to the end or the first damaged one. Accepts any bytes.
EventFrames read_event_frames(std::string_view content);

}  // namespace sluice::store
