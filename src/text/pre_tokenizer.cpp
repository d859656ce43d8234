#include "text/pre_tokenizer.h"

#include <string>

#include "base/error.h"
#include "base/text_format.h"
#include "text/byte_level.h"
#include "text/pattern.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

// GPT-2's division into words.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

Behavior behavior_of(const JsonField& field) {
  const std::string& name = field.string();
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  field.fail_here("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

// Joins the matches and the text between them, in order, as `behavior` requires.
class Joiner {
 public:
  Joiner(Behavior behavior, std::string_view text, Place place, const PreTokenizer::Visit& visit)
      : behavior_(behavior), text_(text), place_(place), visit_(visit) {}

  void add(std::size_t begin, std::size_t end, bool is_match) {
    const bool removed = behavior_ == Behavior::kRemoved && is_match;
    if (joins(is_match)) {
      end_ = end;
    } else {
      flush();
      begin_ = begin;
      end_ = removed ? begin : end;
    }
    // A match joined with the text after it is complete.
    is_match_ = is_match;
    any_ = true;
  }
  void flush() {
    if (end_ > begin_) visit_(text_.substr(begin_, end_ - begin_), place_.after(begin_));
    begin_ = end_ = 0;
  }

 private:
  bool joins(bool is_match) const {
    switch (behavior_) {
      case Behavior::kMergedWithPrevious:
        return any_ && is_match && !is_match_;
      case Behavior::kMergedWithNext:
        return any_ && !is_match && is_match_;
      case Behavior::kContiguous:
        return any_ && is_match == is_match_;
      default:
        return false;
    }
  }

  Behavior behavior_;
  std::string_view text_;
  Place place_;
  const PreTokenizer::Visit& visit_;
  std::size_t begin_ = 0, end_ = 0;
  bool is_match_ = false, any_ = false;
};

class SplitStep : public PreTokenizer::Step {
 public:
  SplitStep(Regex regex, Behavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}

  void split(std::string_view part, Place place, const PreTokenizer::Visit& visit) const override {
    Joiner joiner(behavior_, part, place, visit);
    std::size_t done = 0;
    regex_.each_match(part, [&](std::size_t begin, std::size_t end) {
      if (begin > done) joiner.add(done, begin, invert_);
      joiner.add(begin, end, !invert_);
      done = end;
    });
    if (done < part.size()) joiner.add(done, part.size(), invert_);
    joiner.flush();
  }

 private:
  Regex regex_;
  Behavior behavior_;
  bool invert_;
};

class ByteLevelStep : public PreTokenizer::Step {
 public:
  ByteLevelStep(bool add_prefix_space, bool use_regex) : add_prefix_space_(add_prefix_space) {
    if (use_regex) words_.emplace(Regex(kGpt2Pattern, "ByteLevel"), Behavior::kIsolated, false);
  }
  bool is_byte_level() const override { return true; }

  void split(std::string_view part, Place place, const PreTokenizer::Visit& visit) const override {
    if (add_prefix_space_ && !place.is_continuation && !part.starts_with(' '))
      return split_words(" " + std::string(part), place, visit);
    split_words(part, place, visit);
  }

 private:
  void split_words(std::string_view part, Place place, const PreTokenizer::Visit& visit) const {
    if (!words_.has_value()) return visit(to_byte_level(part), place);
    words_->split(part, place, [&](std::string_view word, Place place_of_word) {
      visit(to_byte_level(word), place_of_word);
    });
  }

  bool add_prefix_space_;
  std::optional<SplitStep> words_;
};

class MetaspaceStep : public PreTokenizer::Step {
 public:
  enum class Scheme { kAlways, kFirst, kNever };
  MetaspaceStep(std::string replacement, Scheme scheme, bool splits)
      : replacement_(std::move(replacement)),
        scheme_(scheme),
        splits_(splits),
        words_(Regex(Regex::escaped(replacement_), "Metaspace"), Behavior::kMergedWithNext, false) {
  }

  void split(std::string_view part, Place place, const PreTokenizer::Visit& visit) const override {
    std::string text;
    for (const char c : part)
      if (c == ' ')
        text += replacement_;
      else
        text += c;
    const bool adds = scheme_ == Scheme::kAlways ? !place.is_continuation
                                                 : scheme_ == Scheme::kFirst && place.is_first();
    if (adds && !text.starts_with(replacement_)) text.insert(0, replacement_);
    if (splits_)
      words_.split(text, place, visit);
    else
      visit(text, place);
  }

 private:
  std::string replacement_;
  Scheme scheme_;
  bool splits_;
  SplitStep words_;
};

MetaspaceStep::Scheme scheme_of(const JsonField& metaspace) {
  const std::string name = metaspace.string_or(
      "prepend_scheme", metaspace.flag_or("add_prefix_space", true) ? "always" : "never");
  if (name == "always") return MetaspaceStep::Scheme::kAlways;
  if (name == "first") return MetaspaceStep::Scheme::kFirst;
  if (name == "never") return MetaspaceStep::Scheme::kNever;
  metaspace.at("prepend_scheme").fail_here("always, first or never");
}

std::shared_ptr<const PreTokenizer::Step> make_metaspace(const JsonField& metaspace) {
  const std::string replacement = metaspace.string_or("replacement", kWordBoundary);
  if (replacement.empty() || character_length(replacement) != replacement.size())
    metaspace.at("replacement").fail_here("one character");
  return std::make_shared<MetaspaceStep>(replacement, scheme_of(metaspace),
                                         metaspace.flag_or("split", true));
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonField& pre_tokenizer) {
  add(pre_tokenizer);
  const bool ends_with_bytes = !steps_.empty() && steps_.back()->is_byte_level();
  keeps_all_bytes_ = ends_with_bytes && !drops_text_ && !adds_prefix_;
}

void PreTokenizer::add(const JsonField& pre_tokenizer) {
  if (steps_.size() >= kMaxPipelineSteps)
    pre_tokenizer.fail_here(cat("at most ", kMaxPipelineSteps, " pre-tokenizers"));
  const JsonField type_field = pre_tokenizer.at("type");
  const std::string& type = type_field.string();
  if (type == "Sequence") {
    const JsonField list = pre_tokenizer.at("pretokenizers").expect_list();
    for (std::size_t i = 0; i < list.size(); ++i) add(list.item(i));
  } else if (type == "ByteLevel") {
    for (const auto& step : steps_)
      if (step->is_byte_level()) type_field.fail_here("ByteLevel only once");
    const bool prefix = pre_tokenizer.flag_or("add_prefix_space", true);
    adds_prefix_ = adds_prefix_ || prefix;
    steps_.push_back(
        std::make_shared<ByteLevelStep>(prefix, pre_tokenizer.flag_or("use_regex", true)));
  } else if (type == "Split") {
    const Behavior behavior = behavior_of(pre_tokenizer.at("behavior"));
    drops_text_ = drops_text_ || behavior == Behavior::kRemoved;
    steps_.push_back(std::make_shared<SplitStep>(pattern_regex(pre_tokenizer.at("pattern")),
                                                 behavior, pre_tokenizer.flag_or("invert", false)));
  } else if (type == "Digits") {
    const bool single = pre_tokenizer.flag_or("individual_digits", false);
    steps_.push_back(std::make_shared<SplitStep>(
        Regex("\\p{N}", type), single ? Behavior::kIsolated : Behavior::kContiguous, false));
  } else if (type == "WhitespaceSplit") {
    drops_text_ = true;
    steps_.push_back(std::make_shared<SplitStep>(Regex("\\s", type), Behavior::kRemoved, false));
  } else if (type == "Metaspace") {
    drops_text_ = true;  // blanks
    steps_.push_back(make_metaspace(pre_tokenizer));
  } else {
    type_field.fail_here("Sequence, ByteLevel, Split, Metaspace, Digits or WhitespaceSplit");
  }
}

void PreTokenizer::split(std::string_view text, Place place, const Visit& visit) const {
  if (!text.empty()) split_from(0, text, place, visit);
}

void PreTokenizer::split_from(std::size_t step, std::string_view part, Place place,
                              const Visit& visit) const {
  if (step == steps_.size()) return visit(part, place);
  steps_[step]->split(part, place, [&](std::string_view inner, Place place_inside) {
    split_from(step + 1, inner, place_inside, visit);
  });
}

}  // namespace sluice::text
