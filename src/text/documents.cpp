#include "text/documents.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text_format.h"
#include "text/block_builder.h"
#include "text/json_text.h"
#include "text/line_reader.h"

namespace sluice::text {

namespace {

constexpr auto kIsSpace = [] {
  std::array<bool, 256> table{};
  for (const char c : {' ', '\t', '\n', '\v', '\f', '\r'})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool is_blank(std::string_view line) {
  return std::all_of(line.begin(), line.end(),
                     [](char c) { return kIsSpace[static_cast<unsigned char>(c)]; });
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

// Adds the text of one JSON line by line, so that long texts become several blocks.
void add_json_text(std::string_view text, std::uint64_t offset, BlockBuilder& builder) {
  do {
    const std::size_t newline = text.find('\n');
    const std::size_t length = newline == std::string_view::npos ? text.size() : newline + 1;
    builder.add_line(text.substr(0, length), offset);
    text.remove_prefix(length);
  } while (!text.empty());
  builder.end_document(LastNewline::kKeep);
}

std::string fields_of(const JsonText& json) {
  std::string out;
  for (const JsonText::Field& field : json.fields)
    out += cat(out.empty() ? "" : ", ", '`', printable(field.name), "` ", field.type);
  if (json.num_fields > json.fields.size())
    out += cat(" and ", json.num_fields - json.fields.size(), " more");
  return out.empty() ? "none" : out;
}

// Counts and reports a line without a text. Only the text field can be at fault, not other members.
void json_fault(LineReader& reader, const CorpusConfig& config, const JsonText& json) {
  using Outcome = JsonText::Outcome;
  const std::string field = cat('`', printable(config.text_field), '`');
  std::string received, expected = cat("an object with a string in field ", field);
  if (json.outcome == Outcome::kInvalid) {
    received = cat("invalid JSON at byte ", json.offset, " of the line (", json.what, ')');
  } else if (json.outcome == Outcome::kNotObject) {
    received = json.what;
  } else if (json.outcome == Outcome::kNotString) {
    received = cat(json.what, " in field ", field);
  } else {
    received = cat("an object without field ", field, " (fields: ", fields_of(json), ')');
    expected = "the name of the text field in corpus.text_field";
  }
  const bool broken = json.outcome == Outcome::kInvalid;
  reader.fault(broken ? "broken JSON lines" : "JSON lines without the text field",
               config.broken_json, reader.offset(),
               cat(expected, ", or corpus.broken_json: replace or skip"), received);
}

void read_jsonl(LineReader& reader, const CorpusConfig& config, BlockBuilder& builder) {
  while (reader.next()) {
    if (reader.must_be_skipped() || is_blank(reader.text())) continue;
    JsonText json = json_text(reader.text(), config.text_field);
    if (json.outcome != JsonText::Outcome::kFound) {
      json_fault(reader, config, json);
      if (config.broken_json == Policy::kSkip) continue;
    }
    if (json.num_lone_surrogates > 0) {
      reader.fault("half surrogate pairs", config.invalid_utf8, reader.offset() + json.offset,
                   "surrogate pairs, or corpus.invalid_utf8: replace or skip", "a lone surrogate",
                   json.num_lone_surrogates);
      if (config.invalid_utf8 == Policy::kSkip) continue;
    }
    if (!reader.clean(json.text, reader.offset()))
      add_json_text(json.text, reader.offset(), builder);
  }
}

}  // namespace

void FaultReport::add(std::string_view kind, std::string_view file, std::uint64_t offset,
                      std::uint64_t count) {
  Fault& fault = faults[std::string(kind)];
  if (fault.count == 0) {
    fault.first_file = file;
    fault.first_offset = offset;
  }
  fault.count += count;
}

void FaultReport::merge(const FaultReport& other) {
  for (const auto& [kind, fault] : other.faults)
    add(kind, fault.first_file, fault.first_offset, fault.count);
}

void for_each_block(const std::filesystem::path& file, const CorpusConfig& config,
                    FaultReport& report, const BlockVisitor& visitor) {
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

void for_each_document(const std::filesystem::path& file, const CorpusConfig& config,
                       FaultReport& report,
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
