#include "data/split_reader.h"

#include "base/signals.h"
#include "text/utf8.h"

namespace sluice::data {

namespace {

class SplitReader {
 public:
  SplitReader(const SplitRequest& request, text::FaultReport& report,
              const std::function<void(SplitItem)>& each)
      : request_(request),
        report_(report),
        each_(each),
        inside_document_(request.start.inside_document) {}

  void read(const std::filesystem::path& file) {
    const text::BlockVisitor visitor{
        .block = [&](std::string_view text, std::uint64_t offset) { add(text, file, offset); },
        .end_of_document = [this] { end_document(); }};
    text::for_each_block(file, request_.corpus, report_, visitor);
  }

 private:
  void add(std::string_view text, const std::filesystem::path& file, std::uint64_t offset) {
    throw_if_stopped("preparing data");
    num_blocks_ += 1;
    if (!request_.select(text, file, offset)) return;
    const text::Tokenizer* tokenizer = request_.tokenizer;
    const bool may_change =
        tokenizer != nullptr && !last_.empty() && tokenizer->cut_may_change_ids(last_, text);
    if (may_change && tokenizer->joins_blocks() &&
        pending_.text.size() + text.size() <= kMaxJoinedBytes) {
      pending_.text += text;
      pending_.num_blocks = num_blocks_;
    } else {
      if (may_change) report_.add(kUncertainCuts, file.string(), offset);
      flush();
      pending_ = {.text = std::string(text),
                  .ends_document = false,
                  .continues = !last_.empty(),
                  .continues_word =
                      text::count_words(last_) > 0 && text::count_words(text.substr(0, 1)) > 0,
                  .num_blocks = num_blocks_};
      has_pending_ = true;
    }
    // cut_may_change_ids() needs only the last character; an empty block does not change it.
    if (!text.empty()) last_.assign(text.substr(text::character_boundary(text, text.size() - 1)));
  }

  void flush() {
    if (!has_pending_) return;
    has_pending_ = false;
    if (pending_.num_blocks <= request_.start.num_blocks) return;
    inside_document_ = true;
    each_(std::move(pending_));
  }

  void end_document() {
    flush();
    last_.clear();
    if (num_blocks_ < request_.start.num_blocks || !inside_document_) return;
    inside_document_ = false;
    each_({.text = {}, .ends_document = true, .num_blocks = num_blocks_});
  }

  const SplitRequest& request_;
  text::FaultReport& report_;
  const std::function<void(SplitItem)>& each_;
  std::uint64_t num_blocks_ = 0;
  bool inside_document_;
  SplitItem pending_;
  bool has_pending_ = false;
  std::string last_;  // the last character of the current document in this split
};

}  // namespace

void read_split(const SplitRequest& request, text::FaultReport& report,
                const std::function<void(SplitItem)>& each) {
  SplitReader reader(request, report, each);
  for (const std::filesystem::path& file : request.files) reader.read(file);
}

}  // namespace sluice::data
