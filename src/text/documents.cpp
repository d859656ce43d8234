#include "text/documents.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/block_builder.h"
#include "text/json_text.h"
#include "text/line_reader.h"

namespace sluice::text {

namespace {

constexpr auto kIsSpace = [] {
  std::array<bool, 256> table{};
  for (const char c : {' ', '\t', '\n', '\v', '\f', '\r'}) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool is_blank(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) { return kIsSpace[static_cast<unsigned char>(c)]; });
}

using LastNewline = BlockBuilder::LastNewline;

void add_reader_line(BlockBuilder& builder, const LineReader& reader, std::string& buffer) {
  if (reader.must_be_skipped()) {
    builder.add_skipped_line(reader.offset());
    return;
  }
  buffer.assign(reader.text());
  if (reader.ended_by_newline()) buffer += '\n';
  builder.add_line(buffer, reader.offset());
}

void read_text(LineReader& reader, BlockBuilder& builder) {
  std::string buffer;
  while (reader.next()) add_reader_line(builder, reader, buffer);
  builder.end_document(LastNewline::kKeep);
}

void read_lines(LineReader& reader, BlockBuilder& builder) {
  while (reader.next()) {
    if (reader.must_be_skipped()) {
      builder.add_skipped_line(reader.offset());
    } else if (!reader.text().empty()) {
      builder.add_line(reader.text(), reader.offset());
    }
    builder.end_document(LastNewline::kKeep);
  }
}

void read_paragraphs(LineReader& reader, BlockBuilder& builder) {
  std::string buffer;
  while (reader.next()) {
    if (!reader.must_be_skipped() && is_blank(reader.text())) {
      builder.end_document(LastNewline::kTrim);
    } else {
      add_reader_line(builder, reader, buffer);
    }
  }
  builder.end_document(LastNewline::kTrim);
}

// The text of one JSON line, cut into lines so that long ones become blocks.
void add_json_text(std::string_view text, std::uint64_t offset, BlockBuilder& builder) {
  do {
    const std::size_t newline = text.find('\n');
    const std::size_t length = newline == std::string_view::npos ? text.size() : newline + 1;
    builder.add_line(text.substr(0, length), offset);
    text.remove_prefix(length);
  } while (!text.empty());
  builder.end_document(LastNewline::kKeep);
}

void read_jsonl(LineReader& reader, const CorpusConfig& config, BlockBuilder& builder) {
  while (reader.next()) {
    if (reader.must_be_skipped() || is_blank(reader.text())) continue;
    std::optional<std::string> text = json_text(reader.text(), config.text_field);
    if (!text.has_value()) {
      reader.fault("broken JSON lines", config.broken_json, reader.offset(),
                   "an object with a string member `" + config.text_field + "` on each line, or corpus.broken_json: replace or skip");
      if (config.broken_json == Policy::kSkip) continue;
      text.emplace();
    }
    if (!reader.clean(*text, reader.offset())) add_json_text(*text, reader.offset(), builder);
  }
}

}  // namespace

void FaultReport::add(std::string_view kind, std::string_view file, std::uint64_t offset, std::uint64_t count) {
  Fault& fault = faults[std::string(kind)];
  if (fault.count == 0) {
    fault.first_file = file;
    fault.first_offset = offset;
  }
  fault.count += count;
}

void FaultReport::merge(const FaultReport& other) {
  for (const auto& [kind, fault] : other.faults) add(kind, fault.first_file, fault.first_offset, fault.count);
}

void for_each_block(const std::filesystem::path& file, const CorpusConfig& config, FaultReport& report, const BlockVisitor& visitor) {
  LineReader reader(file, config, report);
  BlockBuilder builder(visitor);
  switch (config.format) {
    case Format::kText:
      return read_text(reader, builder);
    case Format::kLines:
      return read_lines(reader, builder);
    case Format::kParagraphs:
      return read_paragraphs(reader, builder);
    case Format::kJsonl:
      return read_jsonl(reader, config, builder);
  }
  invariant(false, "unknown corpus format");
}

void for_each_document(const std::filesystem::path& file, const CorpusConfig& config, FaultReport& report,
                       const std::function<void(std::string_view text)>& each) {
  std::string document;
  bool any = false;
  const BlockVisitor visitor{.block =
                                 [&](std::string_view text, std::uint64_t) {
                                   document += text;
                                   any = true;
                                 },
                             .end_of_document =
                                 [&] {
                                   if (any) each(document);
                                   document.clear();
                                   any = false;
                                 }};
  for_each_block(file, config, report, visitor);
}

std::uint64_t count_words(std::string_view text) {
  std::uint64_t count = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = kIsSpace[static_cast<unsigned char>(c)];
    count += !space && !inside;
    inside = !space;
  }
  return count;
}

}  // namespace sluice::text
