// Records: what the program writes as JSON, and reads back or prints with --json. They are described like configuration (field.h), and one
// list of rows gives the text, the strict reader, the JSON Schema and the reference page (docs/formats.md).
//
//   struct CellRecord {
//     static constexpr RecordFormat record{.name = "cell", .place = "DIR/cells/NAME/cell.json", .summary = "..."};
//     std::uint64_t seed = 0;
//     static constexpr auto fields() { return std::tuple{field<&CellRecord::seed>("Seed of the run.")}; }
//   };
//
// Every row is required, unless it has MayBeMissing: then the member keeps its initial value, and a std::optional without a value is left out
// of the text. Elsewhere a std::optional without a value is null. A double that is not finite is null too, and null is read as NaN where
// the row has no limits. Text that is not UTF-8 is written with U+FFFD.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "config/describe.h"

namespace sluice::config {

struct RecordFormat {
  std::string_view name;      // of `sluice schema NAME`
  std::string_view place;     // "RUN/result.json", "`sluice eval --json`"
  std::string_view summary;   // one or two sentences
  std::string_view expected;  // what a damaged one is to be, and the way out: "what `sluice train` wrote"
  int version = 0;            // the first member, `format`; 0: none
  int indent = 2;             // below 0: all on one line
  // The last member, `seal_xxh3_128`, is a hash of the text with an empty seal (of a record on one line: without the line end).
  enum class Seal { kNone, kRequired, kIfThere } seal = Seal::kNone;  // kIfThere: files of earlier versions have none
};

// Ends with a line feed.
template <class T>
std::string to_json(const T& value) {
  return write_record(T::record, describe<T>(), &value);
}

// kBadData with every problem, one line each: "SOURCE: DOTTED.PATH: received VALUE; expected WHAT".
template <class T>
T from_json(std::string_view text, std::string_view source) {
  T value{};
  read_record(T::record, describe<T>(), &value, text, source);
  return value;
}

// A described struct that is part of another text: no format, no seal.
template <class T>
T from_json_object(const nlohmann::ordered_json& object, std::string_view source) {
  T value{};
  read_json_object(describe<T>(), &value, object, source);
  return value;
}

std::string write_record(const RecordFormat& format, const Section& section, const void* value);
void read_record(const RecordFormat& format, const Section& section, void* value, std::string_view text, std::string_view source);
void read_json_object(const Section& section, void* value, const nlohmann::ordered_json& object, std::string_view source);

// A kind of record, for lists of them.
struct RecordKind {
  const RecordFormat* format = nullptr;
  const Section& (*section)() = nullptr;
};
template <class T>
constexpr RecordKind record_kind() {
  return {&T::record, &describe<T>};
}
// JSON Schema (draft 2020-12) of one kind; the reference page of several, in Markdown.
std::string record_schema(const RecordKind& kind);
std::string record_page(std::span<const RecordKind> kinds);

}  // namespace sluice::config
