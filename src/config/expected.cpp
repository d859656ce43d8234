#include "config/expected.h"

#include "base/text_format.h"

namespace sluice::config {
namespace {

std::string words_for(const Scalar* scalar, const Limits& limits) {
  const ScalarInfo info = scalar->info();
  if (!info.options.empty())
    return cat("one of ",
               enumerated(info.options, [](const Option& option) { return option.name; }));
  if (info.is_text && limits.non_empty)
    return cat(info.article == info.name ? "non-empty " : "a non-empty ", info.name);
  const std::string limit = info.is_text ? "" : limits.words();
  const bool has_example =
      info.article.find(' ') != std::string_view::npos && !info.pattern.empty();
  return cat(info.article, limit.empty() ? "" : has_example ? ", " : " ", limit);
}
std::string words_for(const Maybe* maybe, const Limits& limits) {
  return cat('`', maybe->word.empty() ? "null" : maybe->word, "` or ",
             expected_words(maybe->inner, limits));
}
std::string words_for(const List* list, const Limits& limits) {
  return cat("a list", limits.non_empty ? " with at least one item" : "", ", each item ",
             expected_words(list->item, limits));
}
std::string words_for(const Map* map, const Limits& limits) {
  return cat("a mapping from keys to values", limits.non_empty ? ", with at least one key" : "",
             "; each value ", expected_words(map->value, limits));
}
std::string words_for(const Section* section, const Limits&) {
  return section->as_list ? "a list" : "a mapping";
}
std::string words_for(const Choice* choice, const Limits&) {
  return cat("a mapping with `type`, one of ", enumerated(choice->kinds, kind_name));
}

}  // namespace

std::string expected_words(const Type& type, const Limits& limits) {
  return std::visit([&](const auto* shape) { return words_for(shape, limits); }, type);
}

}  // namespace sluice::config
