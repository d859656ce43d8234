#include "report/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::report {
namespace {

TEST(Text, UsualNamesStayAsTheyAre) {
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
  EXPECT_EQ(markdown_text("<b>*x*_y_ [l](u) `c` \\"), "&lt;b&gt;\\*x\\*\\_y\\_ \\[l\\](u) \\`c\\` \\\\");
  EXPECT_EQ(markdown_text("two\nlines"), "two\\\\nlines");
}

TEST(Text, Latex) {
  EXPECT_EQ(latex_text("a_b & 5 % $x$ #1 {}"), "a\\_b \\& 5 \\% \\$x\\$ \\#1 \\{\\}");
  EXPECT_EQ(latex_text("\\input{x}~^"), "\\textbackslash{}input\\{x\\}\\textasciitilde{}\\textasciicircum{}");
  EXPECT_EQ(latex_text("−0.1 – [x]"), "$-$0.1 -- {[}x{]}");
}

TEST(Text, Csv) {
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"x\""), "\"say \"\"x\"\"\"");
  EXPECT_EQ(csv_field("=1+1"), "'=1+1");
  EXPECT_EQ(csv_field("@sum"), "'@sum");
  EXPECT_EQ(csv_field("-1e-3"), "-1e-3");  // a number is none
  EXPECT_EQ(csv_field("-x\n"), "'-x\\n");
}

TEST(Text, ConsoleHidesControlBytes) { EXPECT_EQ(console_text("\x1b[31mred"), "\\x1b[31mred"); }

TEST(Text, Numbers) {
  EXPECT_EQ(number_text(1.23456, 3), "1.235");
  EXPECT_EQ(number_text(-1.5, 1), "−1.5");
  EXPECT_EQ(number_text(-0.00001, 3), "0.000");  // no minus before a zero
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
