// Records: the JSON files that the program writes and reads back, and its --json output. They are
// described like configurations (field.h); writer, strict reader, JSON Schema and reference page
// (docs/formats.md) all derive from the same rows.
//
//   struct CellRecord {
//     static constexpr RecordFormat record{
//         .name = "cell", .place = "DIR/cells/NAME/cell.json", .summary = "..."};
//     std::uint64_t seed = 0;
//     static constexpr auto fields() {
//       return std::tuple{field<&CellRecord::seed>("Seed of the run.")};
//     }
//   };
//
// Every row is required unless it has MayBeMissing. With it, a missing key leaves the member at its
// initial value, and an empty std::optional is omitted from the text; without it, an empty
// std::optional is null. Non-finite doubles are written as null; null is read as NaN if the row has
// no limits. Invalid UTF-8 is replaced by U+FFFD.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "config/describe.h"

namespace sluice::config {

struct RecordFormat {
  std::string_view name;      // for `sluice schema NAME`
  std::string_view place;     // "RUN/result.json", "`sluice eval --json`"
  std::string_view summary;   // one or two sentences
  std::string_view expected;  // completes "expected ..." in errors, with a remedy
  int version = 0;            // value of the first key, `format`; 0: no such key
  int indent = 2;             // below 0: a single line
  // The last key, `seal_xxh3_128`, is a hash of the text with an empty seal (for single-line
  // records: without the line feed). kIfThere: optional, earlier versions did not write it.
  enum class Seal { kNone, kRequired, kIfThere } seal = Seal::kNone;
};

// Ends with a line feed.
template <class T>
std::string to_json(const T& value) {
  return write_record(T::record, describe<T>(), &value);
}

// kBadData lists all problems, one per line: "SOURCE: DOTTED.PATH: received VALUE; expected WHAT".
template <class T>
T from_json(std::string_view text, std::string_view source) {
  T value{};
  read_record(T::record, describe<T>(), &value, text, source);
  return value;
}

// A described struct inside another document: no format, no seal.
template <class T>
T from_json_object(const nlohmann::ordered_json& object, std::string_view source) {
  T value{};
  read_json_object(describe<T>(), &value, object, source);
  return value;
}

std::string write_record(const RecordFormat& format, const Section& section, const void* value);
void read_record(const RecordFormat& format, const Section& section, void* value,
                 std::string_view text, std::string_view source);
void read_json_object(const Section& section, void* value, const nlohmann::ordered_json& object,
                      std::string_view source);

// A record type, for lists of record types.
struct RecordKind {
  const RecordFormat* format = nullptr;
  const Section& (*section)() = nullptr;
};
template <class T>
constexpr RecordKind record_kind() {
  return {&T::record, &describe<T>};
}
// JSON Schema (draft 2020-12) of one kind; Markdown reference page of several.
std::string record_schema(const RecordKind& kind);
std::string record_page(std::span<const RecordKind> kinds);

}  // namespace sluice::config
