#include "stats/letters.h"

#include <algorithm>
#include <functional>
#include <string_view>

#include "base/error.h"

namespace sluice::stats {
namespace {

using Column = std::vector<bool>;  // for one letter: whether each variant, in order, has it

bool is_within(const Column& small, const Column& large) {
  for (std::size_t i = 0; i < small.size(); ++i)
    if (small[i] && !large[i]) return false;
  return true;
}

// Adds `column` unless another contains it; drops the columns that it contains.
void absorb(std::vector<Column>& columns, Column column) {
  if (std::any_of(columns.begin(), columns.end(),
                  [&](const Column& other) { return is_within(column, other); }))
    return;
  std::erase_if(columns, [&](const Column& other) { return is_within(other, column); });
  columns.push_back(std::move(column));
}

// Replaces every column with both a and b by one without a and one without b.
std::vector<Column> insert(const std::vector<Column>& columns, std::size_t a, std::size_t b) {
  std::vector<Column> result;
  for (const Column& column : columns)
    if (!column[a] || !column[b]) result.push_back(column);
  for (const Column& column : columns) {
    if (!column[a] || !column[b]) continue;
    for (const std::size_t without : {a, b}) {
      Column part = column;
      part[without] = false;
      absorb(result, std::move(part));
    }
  }
  return result;
}

std::string letter(std::size_t number) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return kLetters[number % kLetters.size()] + std::string(number / kLetters.size(), '\'');
}

}  // namespace

std::vector<std::string> compact_letters(
    std::span<const std::size_t> order,
    std::span<const std::pair<std::size_t, std::size_t>> significant) {
  const std::size_t n = order.size();
  std::vector<std::size_t> place(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    invariant(order[i] < n && place[order[i]] == n, "compact_letters: the order is no permutation");
    place[order[i]] = i;
  }
  std::vector<Column> columns;
  if (n > 0) columns.emplace_back(n, true);
  for (const auto& [a, b] : significant) {
    invariant(a < n && b < n && a != b, "compact_letters: a pair does not name two variants");
    columns = insert(columns, place[a], place[b]);
  }
  // Lexicographic: letters nearest the start of the order come first.
  std::sort(columns.begin(), columns.end(), std::greater<>());
  std::vector<std::string> texts(n);
  for (std::size_t c = 0; c < columns.size(); ++c)
    for (std::size_t i = 0; i < n; ++i)
      if (columns[c][i]) texts[order[i]] += letter(c);
  return texts;
}

}  // namespace sluice::stats
