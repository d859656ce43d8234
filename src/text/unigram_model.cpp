#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/text_format.h"
#include "text/piece_trie.h"
#include "text/subword_model.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

constexpr double kUnknownPenalty = 10;

class UnigramModel : public SubwordModel {
 public:
  explicit UnigramModel(const JsonField& model) {
    read_vocab(model.at("vocab"));
    if (const auto unk = model.find("unk_id"); unk.has_value())
      unk_ = static_cast<std::int32_t>(
          unk->whole_number(0, static_cast<std::int64_t>(pieces_.size()) - 1));
    if (model.flag_or("byte_fallback", false)) byte_ids_ = byte_pieces(pieces_);
    if (!unk_.has_value())
      fail(ExitCode::kBadData, model.subject() + ".unk_id", "null", "the id of the unknown token");
  }

  void encode(std::string_view part, std::vector<std::int32_t>& out) const override {
    const std::vector<Node> nodes = best_paths(part);
    std::vector<Span> spans;
    for (std::size_t end = part.size(); end > 0; end = nodes[end].begin) {
      const Node& node = nodes[end];
      // Adjacent unknown characters become one span.
      if (node.id == *unk_ && !spans.empty() && spans.back().id == *unk_)
        spans.back().begin = node.begin;
      else
        spans.push_back({node.begin, end, node.id});
    }
    for (auto span = spans.rbegin(); span != spans.rend(); ++span)
      add(part.substr(span->begin, span->end - span->begin), span->id, out);
  }
  const std::vector<std::string>& pieces() const override { return pieces_; }
  std::optional<std::int32_t> unk() const override {
    return byte_ids_.empty() ? unk_ : std::nullopt;
  }

 private:
  struct Node {  // the best path that ends here
    double score = 0;
    std::size_t begin = kUnreached;  // of its last piece
    std::int32_t id = 0;
  };
  struct Span {
    std::size_t begin = 0, end = 0;
    std::int32_t id = 0;
  };
  static constexpr std::size_t kUnreached = std::numeric_limits<std::size_t>::max();

  void read_vocab(const JsonField& vocab) {
    vocab.expect_list();
    if (vocab.size() == 0 || vocab.size() > static_cast<std::size_t>(kMaxTokenId))
      fail(ExitCode::kBadData, vocab.subject(), cat(vocab.size(), " pieces"),
           cat("1 to ", kMaxTokenId));
    pieces_.reserve(vocab.size());
    for (std::size_t id = 0; id < vocab.size(); ++id) {
      const JsonField entry = vocab.item(id);
      if (!entry.json().is_array() || entry.size() != 2) entry.fail_here("[piece, score]");
      pieces_.push_back(entry.item(0).string());
      scores_.push_back(entry.item(1).number());
    }
    std::vector<std::pair<std::string_view, std::int32_t>> sorted;
    for (std::size_t id = 0; id < pieces_.size(); ++id)
      sorted.emplace_back(pieces_[id], static_cast<std::int32_t>(id));
    trie_ = PieceTrie(std::move(sorted));
    unknown_score_ = *std::min_element(scores_.begin(), scores_.end()) - kUnknownPenalty;
  }

  std::vector<Node> best_paths(std::string_view part) const {
    std::vector<Node> nodes(part.size() + 1);
    std::size_t length = 0;
    for (std::size_t at = 0; at < part.size(); at += length) {
      const std::string_view rest = part.substr(at);
      length = character_length(rest);
      bool has_character = false;
      const auto offer = [&](std::size_t size, std::int32_t id, double score) {
        Node& node = nodes[at + size];
        const double sum = score + nodes[at].score;
        if (node.begin == kUnreached || sum > node.score) node = {sum, at, id};
      };
      trie_.each_prefix(rest, [&](std::size_t size, std::int32_t id) {
        offer(size, id, scores_[static_cast<std::size_t>(id)]);
        has_character = has_character || size == length;
      });
      if (!has_character) offer(length, *unk_, unknown_score_);
    }
    return nodes;
  }

  void add(std::string_view text, std::int32_t id, std::vector<std::int32_t>& out) const {
    if (id != *unk_) return out.push_back(id);
    // The library looks the joined unknown characters up once more.
    std::int32_t known = -1;
    trie_.each_prefix(text, [&](std::size_t size, std::int32_t piece) {
      if (size == text.size()) known = piece;
    });
    if (known >= 0) return out.push_back(known);
    if (byte_ids_.empty()) return out.push_back(*unk_);
    for (const char byte : text) out.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
  }

  std::vector<std::string> pieces_;
  std::vector<double> scores_;
  PieceTrie trie_;
  std::vector<std::int32_t> byte_ids_;
  std::optional<std::int32_t> unk_;
  double unknown_score_ = 0;
};

}  // namespace

std::unique_ptr<SubwordModel> make_unigram_model(const JsonField& model) {
  return std::make_unique<UnigramModel>(model);
}

}  // namespace sluice::text
