#include "report/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::report {
namespace {

TEST(Text, LeavesOrdinaryNamesUnchanged) {
  for (const char* name : {"geglu", "swiglu, 3e-3", "GLU é 3.5"}) {
    EXPECT_EQ(html_text(name), name);
    EXPECT_EQ(markdown_text(name), name);
    EXPECT_EQ(latex_text(name), name);
    EXPECT_EQ(console_text(name), name);
  }
  EXPECT_EQ(csv_field("geglu"), "geglu");
}

TEST(Text, Html) {
  EXPECT_EQ(html_text("<script>&\"'"), "&lt;script&gt;&amp;&quot;&#39;");
  EXPECT_EQ(html_text("a\nb\x01\xff"), "a\\nb\\x01\\xff");
  EXPECT_EQ(html_lines("a: <b>\n  c\n"), "a: &lt;b&gt;\n  c\n");
  EXPECT_EQ(html_lines("no end"), "no end\n");
  EXPECT_EQ(html_lines(""), "");
}

TEST(Text, Markdown) {
  EXPECT_EQ(markdown_text("a|b"), "a\\|b");
  EXPECT_EQ(markdown_text("<b>*x*_y_ [l](u) `c` \\"),
            "&lt;b&gt;\\*x\\*\\_y\\_ \\[l\\](u) \\`c\\` \\\\");
  EXPECT_EQ(markdown_text("two\nlines"), "two\\\\nlines");
}

TEST(Text, Latex) {
  EXPECT_EQ(latex_text("a_b & 5 % $x$ #1 {}"), "a\\_b \\& 5 \\% \\$x\\$ \\#1 \\{\\}");
  EXPECT_EQ(latex_text("\\input{x}~^"),
            "\\textbackslash{}input\\{x\\}\\textasciitilde{}\\textasciicircum{}");
  EXPECT_EQ(latex_text("−0.1 – [x]"), "$-$0.1 -- {[}x{]}");
}

TEST(Text, Csv) {
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"x\""), "\"say \"\"x\"\"\"");
  EXPECT_EQ(csv_field("=1+1"), "'=1+1");
  EXPECT_EQ(csv_field("@sum"), "'@sum");
  EXPECT_EQ(csv_field("-1e-3"), "-1e-3");  // a number is not a formula
  EXPECT_EQ(csv_field("-x\n"), "'-x\\n");
}

TEST(Text, ConsoleEscapesControlBytes) { EXPECT_EQ(console_text("\x1b[31mred"), "\\x1b[31mred"); }

// Names with special characters of some format, and their escaped forms.
struct NastyName {
  std::string name, markdown, latex, html, csv, console;
};
const NastyName kNasty[] = {
    {"$x^2$", "<span>\\$</span>x^2<span>\\$</span>", "\\$x\\textasciicircum{}2\\$", "$x^2$",
     "$x^2$", "$x^2$"},
    {"a\xC2\x9B"
     "b",
     "a\\\\u009bb", "a\\textbackslash{}u009bb", "a\\u009bb", "a\\u009bb", "a\\u009bb"},
    {"a\xE2\x80\xAE"
     "b",
     "a\\\\u202eb", "a\\textbackslash{}u202eb", "a\\u202eb", "a\\u202eb", "a\\u202eb"},
    {"a\xE2\x80\xA8"
     "b",
     "a\\\\u2028b", "a\\textbackslash{}u2028b", "a\\u2028b", "a\\u2028b", "a\\u2028b"},
    {"a\nb", "a\\\\nb", "a\\textbackslash{}nb", "a\\nb", "a\\nb", "a\\nb"},
    {"=HYPERLINK(1)", "=HYPERLINK(1)", "=HYPERLINK(1)", "=HYPERLINK(1)", "'=HYPERLINK(1)",
     "=HYPERLINK(1)"},
    {" +1+1", " +1+1", " +1+1", " +1+1", "' +1+1", " +1+1"},
    {"＠SUM", "＠SUM", "\\texttt{U+FF20}SUM", "＠SUM", "'＠SUM", "＠SUM"},
    {"a;=1", "a;=1", "a;=1", "a;=1", "\"a;=1\"", "a;=1"},
    {"|`*_[]<&>#~!", "\\|\\`\\*\\_\\[\\]&lt;&amp;&gt;\\#\\~\\!",
     "\\textbar{}\\textasciigrave{}{*}\\_{[}{]}\\textless{}\\&\\textgreater{}\\#\\textasciitilde{}"
     "!",
     "|`*_[]&lt;&amp;&gt;#~!", "|`*_[]<&>#~!", "|`*_[]<&>#~!"},
    {"100% {x} \\y", "100% {x} \\\\y", "100\\% \\{x\\} \\textbackslash{}y", "100% {x} \\y",
     "100% {x} \\y", "100% {x} \\y"},
    {"中β é—ħ", "中β é—ħ", "\\texttt{U+4E2D}$\\beta$ é---\\texttt{U+0127}", "中β é—ħ", "中β é—ħ",
     "中β é—ħ"},
    {"😀", "😀", "\\texttt{U+1F600}", "😀", "😀", "😀"},
    {"a--b ''c'' ,,", "a--b ''c'' ,,", "a-{}-b '{}'c'{}' ,{},", "a--b &#39;&#39;c&#39;&#39; ,,",
     "\"a--b ''c'' ,,\"", "a--b ''c'' ,,"},
};

TEST(Text, EscapesNastyNamesInEveryFormat) {
  for (const NastyName& nasty : kNasty) {
    EXPECT_EQ(markdown_text(nasty.name), nasty.markdown);
    EXPECT_EQ(latex_text(nasty.name), nasty.latex);
    EXPECT_EQ(html_text(nasty.name), nasty.html);
    EXPECT_EQ(csv_field(nasty.name), nasty.csv);
    EXPECT_EQ(console_text(nasty.name), nasty.console);
  }
}

TEST(Text, EscapesMarkupAtTheStartOfAMarkdownLine) {
  EXPECT_EQ(markdown_line("- x"), "\\- x");
  EXPECT_EQ(markdown_line("+ x"), "\\+ x");
  EXPECT_EQ(markdown_line("==="), "\\===");
  EXPECT_EQ(markdown_line("1. x"), "1\\. x");
  EXPECT_EQ(markdown_line("12) x"), "12\\) x");
  EXPECT_EQ(markdown_line("    code"), "&#32;   code");
  EXPECT_EQ(markdown_line("# x"), "\\# x");
  EXPECT_EQ(markdown_line("geglu is 1. of all"), "geglu is 1. of all");
  EXPECT_EQ(markdown_line("3e-3 ends"), "3e-3 ends");
  EXPECT_EQ(markdown_line(""), "");
}

TEST(Text, Numbers) {
  EXPECT_EQ(number_text(1.23456, 3), "1.235");
  EXPECT_EQ(number_text(-1.5, 1), "−1.5");
  EXPECT_EQ(number_text(-0.00001, 3), "0.000");  // no minus sign before zero
  EXPECT_EQ(number_text(std::nullopt, 3), "–");
  EXPECT_EQ(number_text(std::numeric_limits<double>::quiet_NaN(), 3), "–");
  EXPECT_EQ(signed_text(0.5, 2), "+0.50");
  EXPECT_EQ(signed_text(0.0001, 2), "0.00");
  EXPECT_EQ(signed_text(-0.5, 2), "−0.50");
}

TEST(Text, PValues) {
  EXPECT_EQ(p_text(1), "1.00");
  EXPECT_EQ(p_text(0.384), "0.38");
  EXPECT_EQ(p_text(0.0471), "0.047");
  EXPECT_EQ(p_text(0.00099), "< 0.001");
  EXPECT_EQ(p_text(std::nullopt), "–");
}

TEST(Text, Counts) {
  EXPECT_EQ(count_text(222903552), "222,903,552");
  EXPECT_EQ(count_text(7.89e12), "7.89e+12");
  EXPECT_EQ(count_text(99999999999), "1.00e+11");
  EXPECT_EQ(count_text(0), "–");
}

TEST(Text, ShortensByCharacters) {
  EXPECT_EQ(num_characters("aé−"), 3U);
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("aéc−", 3), "aé…");
}

}  // namespace
}  // namespace sluice::report
