// Parses numbers in YAML text, and suggests corrections for malformed ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::config {

// Decimal with an optional exponent: 1, -0.5, .5, 1e5, 2.5E-3. No leading zeros, underscores,
// hexadecimal, nan, inf.
bool is_number(std::string_view text);

// The digits (with `-` if negative) of a number without a decimal point, or with an exponent that
// makes it whole: 1e5 gives 100000. nullopt for anything else. Numbers too long for 64 bits give
// more than 20 digits.
std::optional<std::string> whole_number(std::string_view text);

// nullopt on overflow, or if a nonzero number underflows.
std::optional<double> to_double(std::string_view number);

// number * unit if it is whole and fits, else nullopt. `number` must satisfy is_number.
std::optional<std::int64_t> scaled_exactly(std::string_view number, std::int64_t unit);

// Splits "512 MiB" into "512" and "MiB"; at most one space.
std::pair<std::string_view, std::string_view> split_unit(std::string_view text);

// For text that is not a number: what is expected instead, and the number probably intended (010:
// 10; 100_000: 100000; 0x10: 16; 3.0: 3). Both may be empty.
std::string expected_number(std::string_view text, std::string_view article);
std::string suggested_number(std::string_view text);

}  // namespace sluice::config
