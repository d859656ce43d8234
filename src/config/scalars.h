// Scalar values: a single YAML word or number, and the limits that a row can set on it.
//
// Plain text is typed here, because YAML libraries disagree on `on`, `010` and `1e5`:
//   bool      true, false
//   integers  decimal; exponents if the value is whole (1e5, 2.5e6); no leading zeros, underscores
//             or hexadecimal
//   double    decimal with optional exponent; no nan, no infinity
//   string    any word or quoted text; null must be quoted
//   names     (enumerations, table rows) exactly as listed
//   Word      any of these, or a list of them, kept unparsed
//   Hash128   32 hexadecimal digits
//   Bytes     512MiB, 2GB, 64KiB, 1000
//   Seconds   30s, 10min, 2h, 250ms, 90
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

// Why a text is not a valid value.
struct Refusal {
  std::string expected;    // empty: info().article is sufficient
  std::string suggestion;  // the text probably intended; may be empty
};

// One allowed name.
struct Option {
  std::string_view name, summary;  // summary may be empty
};

struct ScalarInfo {
  std::string_view name;     // "whole number"
  std::string_view article;  // "a whole number"
  // JSON Schema `type`; empty: any of text, number, true and false
  std::string_view json_type;
  // regular expression for values with a unit; empty if there are no units
  std::string_view pattern;
  std::span<const Option> options;  // names only
  bool is_text = false;             // accepts quoted text
  bool non_negative = false;        // read() rejects negative numbers
  bool takes_lists = false;         // read() accepts lists as one line: [0.9, 0.95]
};

class Scalar {
 public:
  virtual ~Scalar() = default;
  virtual ScalarInfo info() const = 0;
  // Parses and stores the value. On refusal nothing is stored.
  virtual std::optional<Refusal> read(ScalarText text, void* value) const = 0;
  // Unquoted text that read() converts back to the same value.
  virtual std::string write(const void* value) const = 0;
  // Whether the written text needs quotes; nullopt: depends on the text (see quoted_if_needed).
  virtual std::optional<bool> is_quoted(const void*) const { return std::nullopt; }
  // The number checked by Limits, if there is one. long double holds every 64-bit integer.
  virtual std::optional<long double> number(const void*) const { return std::nullopt; }
};

// The scalar types listed in field.h.
const Scalar& scalar_for(const bool*);
const Scalar& scalar_for(const std::int64_t*);
const Scalar& scalar_for(const std::uint64_t*);
const Scalar& scalar_for(const double*);
const Scalar& scalar_for(const std::string*);
const Scalar& scalar_for(const Bytes*);
const Scalar& scalar_for(const Seconds*);
const Scalar& scalar_for(const Word*);
const Scalar& scalar_for(const Hash128*);

// Enumerations and table rows. describe_types.h implements index() and set().
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

// The value constraints of a row.
struct Limits {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;     // low itself is not allowed
  std::int64_t divisor = 0;  // 0: any
  bool non_empty = false;
  bool any_number() const;  // no limit on numbers
  bool allow(long double number) const;
  // "greater than 0", "from 0 to 1, a multiple of 8"; empty without limits
  std::string words() const;
};

// The name nearest to `text`, or empty if none is close. Ignores case, and treats `-` as `_`.
std::string_view nearest(std::string_view text, std::span<const std::string_view> names);

}  // namespace sluice::config
