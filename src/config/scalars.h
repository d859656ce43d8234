// Values that YAML writes as one word or number, and the limits a row may set on them.
//
// We type plain text ourselves, because YAML libraries disagree on `on`, `010` and `1e5`:
//   bool      true, false
//   integers  decimal; 1e5 and 2.5e6 where the value is whole; no leading zeros, no underscores, no hexadecimal
//   double    decimal with optional exponent; no nan, no infinity
//   string    any word or quoted text; null must be quoted
//   names     (enumerations, rows of a table) exactly as listed
//   Word      any of these, or a list of them, as it stands
//   Hash128   32 hexadecimal digits
//   Bytes     512MiB, 2GB, 64KiB, 1000;  Seconds: 30s, 10min, 2h, 250ms, 90
// Quoted text is a string or a name, never a number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "config/field.h"

namespace sluice::config {

struct ScalarText {
  std::string_view text;
  bool quoted = false;
};

// Why a text is no value of the type.
struct Refusal {
  std::string expected;    // empty: info().article and nothing more to say
  std::string suggestion;  // empty, or the text that was probably meant
};

// One allowed name.
struct Option {
  std::string_view name, summary;  // summary may be empty
};

struct ScalarInfo {
  std::string_view name;            // "whole number"
  std::string_view article;         // "a whole number"
  std::string_view json_type;       // JSON Schema `type`; empty: any of text, number, true and false
  std::string_view pattern;         // regular expression of the text form where units may follow, else empty
  std::span<const Option> options;  // names only
  bool is_text = false;             // takes quoted text
  bool non_negative = false;        // read() refuses numbers below 0
  bool takes_lists = false;         // read() is given them as one line: [0.9, 0.95]
};

class Scalar {
 public:
  virtual ~Scalar() = default;
  virtual ScalarInfo info() const = 0;
  // Stores the value; nothing is stored where it is refused.
  virtual std::optional<Refusal> read(ScalarText text, void* value) const = 0;
  // Text that read() turns into the same value; not yet quoted.
  virtual std::string write(const void* value) const = 0;
  // Whether written text needs quotes: nothing where only the text decides (see quoted_if_needed).
  virtual std::optional<bool> is_quoted(const void*) const { return std::nullopt; }
  // What Limits compare, where the value is a number. long double holds every 64-bit integer.
  virtual std::optional<long double> number(const void*) const { return std::nullopt; }
};

// The types of field.h.
const Scalar& scalar_for(const bool*);
const Scalar& scalar_for(const std::int64_t*);
const Scalar& scalar_for(const std::uint64_t*);
const Scalar& scalar_for(const double*);
const Scalar& scalar_for(const std::string*);
const Scalar& scalar_for(const Bytes*);
const Scalar& scalar_for(const Seconds*);
const Scalar& scalar_for(const Word*);
const Scalar& scalar_for(const Hash128*);

// Enumerations and rows of tables: describe.h derives the two functions from the C++ type.
class Named : public Scalar {
 public:
  explicit Named(std::vector<Option> options) : options_(std::move(options)) {}
  virtual std::size_t index(const void* value) const = 0;
  virtual void set(void* value, std::size_t index) const = 0;
  ScalarInfo info() const override;
  std::optional<Refusal> read(ScalarText text, void* value) const override;
  std::string write(const void* value) const override;

 private:
  std::vector<Option> options_;
};

// The constraints of a row.
struct Limits {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;     // low itself is refused
  std::int64_t divisor = 0;  // 0: any
  bool non_empty = false;
  bool any_number() const;  // no limit on numbers
  bool allow(long double number) const;
  std::string words() const;  // "greater than 0", "from 0 to 1, a multiple of 8"; empty without limits
};

// The name nearest to `text` where one is near enough to be meant, else empty. Capitals and `-` for `_` do not count.
std::string_view nearest(std::string_view text, std::span<const std::string_view> names);

}  // namespace sluice::config
