#include "text/documents.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"
#include "text/utf8.h"

namespace sluice::text {
namespace {

using namespace std::string_literals;
using sluice::testing::message_of;
using sluice::testing::plain_text;
using sluice::testing::TemporaryDirectory;
using sluice::testing::write_text;

using Strings = std::vector<std::string>;

class Documents : public ::testing::Test {
 protected:
  Strings read(std::string_view content) {
    report_ = {};
    write_text(folder_ / "c.txt", content);
    Strings documents;
    for_each_document(folder_ / "c.txt", config_, report_,
                      [&](std::string_view text) { documents.emplace_back(text); });
    return documents;
  }
  Strings read(Format format, std::string_view content) {
    config_.format = format;
    return read(content);
  }
  // The blocks of each document.
  std::vector<Strings> blocks(std::string_view content) {
    report_ = {};
    write_text(folder_ / "c.txt", content);
    std::vector<Strings> documents(1);
    for_each_block(folder_ / "c.txt", config_, report_,
                   {.block = [&](std::string_view text,
                                 std::uint64_t) { documents.back().emplace_back(text); },
                    .end_of_document = [&] { documents.emplace_back(); }});
    EXPECT_TRUE(documents.back().empty()) << "a block without end of document";
    documents.pop_back();
    return documents;
  }
  void expect_fault(std::string_view kind, std::uint64_t count, std::uint64_t first_offset) {
    const auto fault = report_.faults.find(std::string(kind));
    ASSERT_NE(fault, report_.faults.end()) << kind;
    EXPECT_EQ(fault->second.count, count) << kind;
    EXPECT_EQ(fault->second.first_offset, first_offset) << kind;
    EXPECT_EQ(fault->second.first_file, (folder_ / "c.txt").string());
  }
  TemporaryDirectory folder_;
  CorpusConfig config_;
  FaultReport report_;
};

TEST_F(Documents, TheFourFormats) {
  const std::string text = "one\ntwo\n\n \t \nthree\n\n\nfour";
  EXPECT_EQ(read(Format::kText, text), Strings{text});
  EXPECT_EQ(read(Format::kLines, text), (Strings{"one", "two", " \t ", "three", "four"}));
  EXPECT_EQ(read(Format::kParagraphs, text), (Strings{"one\ntwo", "three", "four"}));
  EXPECT_EQ(read(Format::kJsonl, "{\"text\": \"a\\n\\nb\\n\"}\n\n  \n{\"x\": 1, \"text\": \"\"}\n"),
            (Strings{"a\n\nb\n", ""}));
  EXPECT_TRUE(report_.faults.empty());
}

TEST_F(Documents, EmptyFilesHaveNoDocuments) {
  for (const Format format : {Format::kText, Format::kLines, Format::kParagraphs, Format::kJsonl})
    EXPECT_EQ(read(format, ""), Strings{});
  EXPECT_EQ(read(Format::kText, "\n"), Strings{"\n"});
  for (const Format format : {Format::kLines, Format::kParagraphs, Format::kJsonl})
    EXPECT_EQ(read(format, "\n\n\n"), Strings{});
}

TEST_F(Documents, KeepsBlanksInsideParagraphs) {
  EXPECT_EQ(read(Format::kParagraphs, "\n\n  indented\ttext  \n   more \n\nnext\n"),
            (Strings{"  indented\ttext  \n   more ", "next"}));
}

TEST_F(Documents, ByteOrderMarkAndCarriageReturns) {
  EXPECT_EQ(read(Format::kLines, "\xEF\xBB\xBFone\r\ntwo\r\nlone\rstays\r\r\n\xEF\xBB\xBFx\r"),
            (Strings{"one", "two", "lone\rstays\r", "x\r"}));
  expect_fault("byte order mark", 2, 0);
  expect_fault("CRLF line ends", 3, 6);
  EXPECT_EQ(read(Format::kParagraphs, "a\r\n\r\nb\r\n"), (Strings{"a", "b"}));
  EXPECT_EQ(read(Format::kText, "\xEF\xBB\xBF"), Strings{});
}

TEST_F(Documents, ByteOrderMarkByPolicy) {
  const std::string text = "\xEF\xBB\xBFone\ntwo\n\nthree\n";
  config_.byte_order_mark = Policy::kError;
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { read(Format::kLines, text); })
                .find("c.txt, byte 0: received byte order mark"),
            std::string::npos);
  EXPECT_EQ(read("one\n"), Strings{"one"});
  config_.byte_order_mark = Policy::kSkip;
  EXPECT_EQ(read(text), (Strings{"two", "three"}));
  EXPECT_EQ(read(Format::kParagraphs, text), Strings{"three"});
  expect_fault("byte order mark", 1, 0);
}

// As written by `cat a b`: with and without a newline at the end of `a`, and in the text of a JSON
// line.
TEST_F(Documents, ByteOrderMarksInsideAFile) {
  const std::string mark = "\xEF\xBB\xBF", text = "one\n" + mark + "two\nthree" + mark + "four\n" +
                                                  mark + "\n" + mark + mark + "five";
  EXPECT_EQ(read(Format::kLines, text), (Strings{"one", "two", "threefour", "five"}));
  expect_fault("byte order mark", 5, 4);
  EXPECT_EQ(read(Format::kText, text), Strings{"one\ntwo\nthreefour\n\nfive"});
  EXPECT_EQ(read(Format::kParagraphs, text), (Strings{"one\ntwo\nthreefour", "five"}));
  EXPECT_EQ(
      read(Format::kJsonl, mark + "{\"text\": \"a\"}\n" + mark + "{\"text\": \"\\ufeffb\"}\n"),
      (Strings{"a", "b"}));
  expect_fault("byte order mark", 3, 0);
  config_.byte_order_mark = Policy::kSkip;
  EXPECT_EQ(read(Format::kLines, text), Strings{"one"});
  EXPECT_EQ(read(Format::kJsonl, "{\"text\": \"a\"}\n{\"text\": \"\\ufeffb\"}\n"), Strings{"a"});
  config_.byte_order_mark = Policy::kError;
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { read(Format::kLines, text); })
                .find("c.txt, byte 4: received byte order mark"),
            std::string::npos);
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { read(Format::kLines, "a" + mark); })
                .find("c.txt, byte 1: received byte"),
            std::string::npos);
}

TEST_F(Documents, CarriageReturnsByPolicy) {
  const std::string text = "a\n\nb\r\n\r\nc\nd\r\n\ne\n";
  config_.crlf = Policy::kError;
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { read(Format::kLines, text); })
                .find("c.txt, byte 4: received CRLF"),
            std::string::npos);
  config_.crlf = Policy::kSkip;
  EXPECT_EQ(read(text), (Strings{"a", "c", "e"}));
  EXPECT_EQ(read(Format::kParagraphs, text), (Strings{"a", "e"}));
  expect_fault("CRLF line ends", 3, 4);
}

TEST_F(Documents, InvalidUtf8) {
  const std::string text =
      "good\nb\xFF"
      "d \xE2\x96!\n\nnext\n\nb\x80\n";
  const std::string message =
      message_of(ExitCode::kBadData, [&] { read(Format::kParagraphs, text); });
  EXPECT_NE(message.find("byte 6"), std::string::npos) << message;
  EXPECT_NE(message.find("c.txt"), std::string::npos) << message;
  config_.invalid_utf8 = Policy::kReplace;
  EXPECT_EQ(read(text), (Strings{"good\nb\xEF\xBF\xBD"
                                 "d \xEF\xBF\xBD!",
                                 "next", "b\xEF\xBF\xBD"}));
  expect_fault("invalid UTF-8", 3, 6);
  config_.invalid_utf8 = Policy::kSkip;
  EXPECT_EQ(read(text), Strings{"next"});
  expect_fault("invalid UTF-8", 2, 6);
  EXPECT_EQ(read(Format::kLines, text), (Strings{"good", "next"}));
}

TEST_F(Documents, NulBytes) {
  const std::string text = "a\0b\0\nc"s;
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { read(Format::kLines, text); }).find("byte 1"),
            std::string::npos);
  config_.nul_bytes = Policy::kReplace;
  EXPECT_EQ(read(text), (Strings{"ab", "c"}));
  expect_fault("NUL bytes", 2, 1);
  config_.nul_bytes = Policy::kSkip;
  EXPECT_EQ(read(text), Strings{"c"});
  EXPECT_EQ(read(Format::kJsonl, R"({"text": "a\u0000b"})"
                                 "\n"
                                 R"({"text": "c"})"),
            Strings{"c"});
}

// The error names the file format instead of the first fault, which would be misleading.
TEST_F(Documents, NamesTheFormatOfFilesThatAreNotText) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"\xFF\xFEh\0i\0\n\0"s, "UTF-16"},
      {"\xFE\xFF\0h\0i\0\n"s, "UTF-16"},
      {"\xFF\xFE\0\0h\0\0\0"s, "UTF-32"},
      {"\xFD"
       "7zXZ\0\0\4\xE6\xD6"s,
       "xz data"},
      {"BZh91AY&SY\xB3\r\n"s, "bzip2"},
      {"PK\3\4\x14\0\0\0\x8\0"s, "zip"},
      {"%PDF-1.7\r\n%\xE2\xE3\xCF\xD3\r\n"s, "PDF"},
      {"PAR1\x15\4\x15\xFA\0"s, "Parquet"},
  };
  for (const auto& [content, name] : files) {
    for (const Format format :
         {Format::kText, Format::kLines, Format::kParagraphs, Format::kJsonl}) {
      const std::string message = message_of(ExitCode::kBadData, [&] { read(format, content); });
      EXPECT_NE(message.find("c.txt: "), std::string::npos) << message;
      EXPECT_NE(message.find(name), std::string::npos) << message;
    }
  }
  EXPECT_EQ(read(Format::kLines, "%PDF- is how such files begin\nBZh\n"),
            (Strings{"%PDF- is how such files begin", "BZh"}));
}

TEST_F(Documents, OffsetsCountFromTheStartOfTheFile) {
  config_.nul_bytes = config_.invalid_utf8 = Policy::kReplace;
  std::string text = plain_text(3, 40'000);  // several buffers
  const std::size_t size = text.size();
  text += "x\xFFy\xFE\0z"s;
  read(Format::kLines, text);
  expect_fault("invalid UTF-8", 2, size + 1);
  expect_fault("NUL bytes", 1, size + 4);
}

TEST_F(Documents, LongLines) {
  config_.max_line.count = 64;
  const std::string fits(64, 'a'), over = std::string(63, 'b') + "\xC3\xA9" + std::string(100, 'c');
  const std::string text = fits + "\n" + over + "\nend\n";
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { read(Format::kLines, text); }).find("byte 65"),
            std::string::npos);
  config_.long_lines = Policy::kReplace;
  EXPECT_EQ(read(text), (Strings{fits, std::string(63, 'b'), "\xC3\xA9" + std::string(62, 'c'),
                                 std::string(38, 'c'), "end"}));
  expect_fault("long lines", 1, 65);
  config_.long_lines = Policy::kSkip;
  EXPECT_EQ(read(text), (Strings{fits, "end"}));
  expect_fault("long lines", 1, 65);
  EXPECT_EQ(read(over), Strings{});
}

TEST_F(Documents, LinesLongerThanTheBuffer) {
  config_.max_line.count = 1'000'000;
  config_.long_lines = Policy::kReplace;
  const std::string huge = std::string(2'500'000, 'x');
  const Strings lines = read(Format::kLines, "start\n" + huge + "\nend");
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[1] + lines[2] + lines[3], huge);
  EXPECT_EQ(lines[1].size(), 1'000'000U);
  EXPECT_EQ(lines[4], "end");
}

TEST_F(Documents, BrokenJsonLines) {
  const std::string text = "{\"text\": \"a\"}\n{broken\n{\"other\": 1}\n{\"text\": \"b\"}\n";
  const std::string message = message_of(ExitCode::kBadData, [&] { read(Format::kJsonl, text); });
  EXPECT_NE(message.find("byte 14"), std::string::npos) << message;
  config_.broken_json = Policy::kReplace;
  EXPECT_EQ(read(text), (Strings{"a", "", "", "b"}));
  expect_fault("broken JSON lines", 1, 14);
  expect_fault("JSON lines without the text field", 1, 22);
  config_.broken_json = Policy::kSkip;
  EXPECT_EQ(read(text), (Strings{"a", "b"}));
  config_.text_field = "other";
  config_.broken_json = Policy::kError;
  message_of(ExitCode::kBadData, [&] { read(text); });
}

TEST_F(Documents, JsonLinesWithoutTheTextReportTheirFields) {
  config_.format = Format::kJsonl;
  const auto message = [&](const std::string& line) {
    return message_of(ExitCode::kBadData, [&] { read("{\"text\": \"a\"}\n" + line); });
  };
  const auto expect = [&](const std::string& line, std::string_view part) {
    EXPECT_NE(message(line).find("c.txt, byte 14: received " + std::string(part)),
              std::string::npos)
        << message(line);
  };
  const std::string name = "; expected the name of the text field in corpus.text_field",
                    object = "; expected an object with a string in field `text`";
  expect(R"({"content": "a", "id": 7})",
         "an object without field `text` (fields: `content` a string, `id` a number)" + name);
  expect("{}", "an object without field `text` (fields: none)" + name);
  expect(R"({"text": null})", "null in field `text`" + object);
  expect(R"({"text": ["a"]})", "a list in field `text`");
  expect(R"(["a"])", "a list" + object);
  expect(R"({"score": nan, "text": "a"})",
         "invalid JSON at byte 10 of the line (expected a value)");
  EXPECT_EQ(read(R"({"score": NaN, "text": "a"})"), Strings{"a"});
  config_.text_field = "con\ntent";
  EXPECT_NE(message_of(ExitCode::kBadData, [&] { read("{}"); })
                .find("an object without field `con\\ntent`"),
            std::string::npos);
}

TEST_F(Documents, LoneSurrogatesFollowThePolicyForInvalidUtf8) {
  config_.format = Format::kJsonl;
  const std::string text = R"({"text": "a\ud83db\udc00"})"
                           "\n"
                           R"({"text": "c", "other": "\ud83d"})";
  const std::string message = message_of(ExitCode::kBadData, [&] { read(text); });
  EXPECT_NE(message.find("c.txt, byte 11: received a lone surrogate"), std::string::npos)
      << message;
  EXPECT_NE(message.find("corpus.invalid_utf8"), std::string::npos) << message;
  config_.invalid_utf8 = Policy::kReplace;
  EXPECT_EQ(read(text), (Strings{"a\xEF\xBF\xBD"
                                 "b\xEF\xBF\xBD",
                                 "c"}));
  expect_fault("half surrogate pairs", 2, 11);
  config_.invalid_utf8 = Policy::kSkip;
  EXPECT_EQ(read(text), Strings{"c"});
}

TEST_F(Documents, LongDocumentsBecomeBlocksOfWholeLines) {
  config_.format = Format::kText;
  const std::string text = plain_text(5, 20'000);
  const auto documents = blocks(text);
  ASSERT_EQ(documents.size(), 1U);
  ASSERT_GT(documents[0].size(), 5U);
  std::string joined;
  for (const std::string& block : documents[0]) {
    EXPECT_LE(block.size(), kMaxBlockBytes);
    EXPECT_TRUE(block.ends_with('\n'));
    joined += block;
  }
  EXPECT_EQ(joined, text);
  for (std::size_t i = 0; i + 1 < documents[0].size(); ++i) {
    const std::size_t next_line = documents[0][i + 1].find('\n') + 1;
    EXPECT_GT(documents[0][i].size() + next_line, kMaxBlockBytes) << "the next line would have fit";
  }
}

TEST_F(Documents, SplitsLinesLongerThanABlock) {
  config_.format = Format::kText;
  const std::string accents = [] {
    std::string s;
    for (int i = 0; i < 50'000; ++i) s += "\xC3\xA9";
    return "x" + s;
  }();
  std::string words;
  while (words.size() < 200'000) words += "word  ";
  for (const std::string& text :
       {accents, words, "short\n" + words + "\n" + accents + "\nshort\n",
        std::string(kMaxBlockBytes, 'a') + "\n", std::string(150'000, ' ')}) {
    const auto documents = blocks(text);
    ASSERT_EQ(documents.size(), 1U);
    std::string joined;
    for (const std::string& block : documents[0]) {
      EXPECT_LE(block.size(), kMaxBlockBytes);
      EXPECT_FALSE(block.empty());
      EXPECT_TRUE(is_valid_utf8(block));
      joined += block;
    }
    EXPECT_EQ(joined, text);
  }
  const auto documents = blocks(words);
  for (const std::string& block : documents.at(0))
    EXPECT_TRUE(block.starts_with("word") || block.starts_with("  word"));
}

TEST_F(Documents, BlocksInEveryFormat) {
  std::string paragraph;
  for (int i = 0; i < 10'000; ++i) paragraph += "some line of text\n";
  config_.format = Format::kParagraphs;
  const auto documents = blocks("first\n\n" + paragraph + "\nlast\n");
  ASSERT_EQ(documents.size(), 3U);
  EXPECT_EQ(documents[0], Strings{"first"});
  EXPECT_EQ(documents[2], Strings{"last"});
  ASSERT_EQ(documents[1].size(), 3U);
  EXPECT_EQ(documents[1][0] + documents[1][1] + documents[1][2] + "\n", paragraph);
}

TEST_F(Documents, SkipDropsOnlyTheBlock) {
  config_.format = Format::kText;
  config_.invalid_utf8 = Policy::kSkip;
  std::string good(100, 'a');
  good += '\n';
  std::string text;
  for (int i = 0; i < 2000; ++i) text += i == 1000 ? "bad \xFF\n" : good;
  const auto documents = blocks(text);
  ASSERT_EQ(documents.size(), 1U);
  std::size_t size = 0;
  for (const std::string& block : documents[0]) size += block.size();
  EXPECT_LT(size, text.size() - kMaxBlockBytes / 2);
  EXPECT_GE(size, text.size() - kMaxBlockBytes - 10);
}

TEST(CountWords, MaximalRunsOfNonWhitespace) {
  EXPECT_EQ(count_words(""), 0U);
  EXPECT_EQ(count_words("  \t\n "), 0U);
  EXPECT_EQ(count_words(" a  bc\td\ve\ff\rg\n"), 6U);
  EXPECT_EQ(count_words("a\xC2\xA0"
                        "b"),
            1U);  // only ASCII whitespace separates words
  const std::string text = plain_text(9, 500);
  std::istringstream stream(text);
  std::uint64_t expected = 0;
  for (std::string word; stream >> word;) expected += 1;
  EXPECT_EQ(count_words(text), expected);
}

TEST(FaultReport, MergeKeepsTheFirstPositionAndAddsCounts) {
  FaultReport first, second;
  first.add("NUL bytes", "a", 5);
  second.add("NUL bytes", "b", 1, 3);
  second.add("long lines", "b", 2);
  first.merge(second);
  EXPECT_EQ(first.faults.at("NUL bytes"), (FaultReport::Fault{4, "a", 5}));
  EXPECT_EQ(first.faults.at("long lines"), (FaultReport::Fault{1, "b", 2}));
}

}  // namespace
}  // namespace sluice::text
