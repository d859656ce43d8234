// Extracts one string member from a line of JSON.
//
// Accepts JSON (RFC 8259) and the extensions of Python's json.dumps(): NaN, Infinity and -Infinity
// as values, and lone surrogates in \u escapes, which become U+FFFD.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::text {

inline constexpr std::size_t kMaxJsonFields = 8;

struct JsonText {
  struct Field {
    std::string name;
    std::string_view type;  // "a string"
  };
  enum class Outcome { kFound, kInvalid, kNotObject, kMissing, kNotString };
  Outcome outcome = Outcome::kFound;
  std::string text;                       // kFound
  std::uint64_t num_lone_surrogates = 0;  // in `text`
  // kInvalid: of the fault; kNotString: of the value; kFound: of the first lone surrogate
  std::size_t offset = 0;
  // kInvalid: the fault; kNotObject and kNotString: the received type ("a list")
  std::string_view what;
  std::vector<Field> fields;   // kMissing: the first kMaxJsonFields fields
  std::size_t num_fields = 0;  // kMissing: the number of all fields
};

// The member `field` of the object in `line` (valid UTF-8); if it occurs several times, the last
// one. Nesting deeper than 100 is kInvalid.
JsonText json_text(std::string_view line, std::string_view field);

}  // namespace sluice::text
