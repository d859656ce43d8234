// Numbers as people write them in YAML: which texts are numbers, and which number was meant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::config {

// Decimal with an optional exponent: 1, -0.5, .5, 1e5, 2.5E-3. No leading zeros, underscores, hexadecimal, nan, inf.
bool is_number(std::string_view text);

// The digits (with `-` where negative) of a number without decimal point, or with an exponent that makes it whole: 1e5 gives
// 100000. nullopt where it is no such number; a number too long for 64 bits gives more than 20 digits.
std::optional<std::string> whole_number(std::string_view text);

// nullopt where the number is beyond the largest double, or not zero and below the smallest.
std::optional<double> to_double(std::string_view number);

// number * unit, where that is whole and fits. `number` as is_number, not negative.
std::optional<std::int64_t> scaled_exactly(std::string_view number, std::int64_t unit);

// "512 MiB" gives "512" and "MiB"; at most one blank.
std::pair<std::string_view, std::string_view> split_unit(std::string_view text);

// What would be right where `text` is no number, and the number that was probably meant (010: 10; 100_000: 100000; 0x10: 16;
// 3.0: 3); both may be empty.
std::string why_no_number(std::string_view text, std::string_view article);
std::string meant_number(std::string_view text);

}  // namespace sluice::config
