// One string member out of a line of JSON.
//
// Accepts JSON (RFC 8259), and what Python's json.dumps() writes beyond it: NaN, Infinity and -Infinity as values, and halves of
// surrogate pairs in \u escapes, which become U+FFFD.
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
  enum class Outcome { kFound, kBroken, kNoObject, kMissing, kNoString };
  Outcome outcome = Outcome::kFound;
  std::string text;                       // kFound
  std::uint64_t num_half_surrogates = 0;  // of them in `text`
  std::size_t offset = 0;                 // kBroken: of the fault; kNoString: of the value; kFound: of the first half surrogate
  std::string_view what;                  // kBroken: the fault; kNoObject and kNoString: the type that came ("a list")
  std::vector<Field> fields;              // kMissing: those that are there, the first kMaxJsonFields
  std::size_t num_fields = 0;             // all of them
};

// The member `field` of the object in `line` (valid UTF-8); the last one where it is there twice. Nesting deeper than 100 is kBroken.
JsonText json_text(std::string_view line, std::string_view field);

}  // namespace sluice::text
