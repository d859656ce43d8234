#include "report/page_parts.h"

#include "base/text_format.h"
#include "report/text.h"

namespace sluice::report {

std::string paragraph(std::string_view text) { return cat("<p>", html_text(text), "</p>\n"); }

std::string figure(const std::string& wide, const std::string& narrow, std::string_view caption) {
  if (wide.empty()) return "";
  return cat("<figure>\n<div class=\"wide\">", wide, "</div>\n<div class=\"narrow\">", narrow,
             "</div>\n<figcaption>", html_text(caption), "</figcaption>\n</figure>\n");
}

std::string pair(const std::string& left, const std::string& right) {
  return left.empty() && right.empty() ? ""
                                       : cat("<div class=\"pair\">\n", left, right, "</div>\n");
}

std::string code_block(std::string_view text) {
  return cat("<pre tabindex=\"0\"><code>", html_lines(text), "</code></pre>\n");
}

std::string facts(std::span<const Fact> rows) {
  std::string out = "<dl class=\"facts\">\n";
  for (const auto& [name, value] : rows)
    out += cat("<div><dt>", name, "</dt><dd>", html_text(value), "</dd></div>\n");
  return out + "</dl>\n";
}

std::string html_page(const Page& page) {
  std::string out =
      cat("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
          "<meta name=\"generator\" content=\"Sluice ",
          html_text(page.version), "\"/>\n<title>", html_text(page.title), "</title>\n<style>",
          page_style(), "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>",
          html_text(page.heading), "</h1>\n<p class=\"lead\">", html_text(page.lead), "</p>\n",
          page.introduction, "<nav aria-label=\"Sections\">");
  for (const PageSection& one : page.sections)
    out += cat("<a href=\"#", one.id, "\">", one.title, "</a>");
  out += "</nav>\n</header>\n";
  for (const PageSection& one : page.sections)
    out += cat("<section id=\"", one.id, "\">\n<h2>", html_text(one.title), "</h2>\n", one.content,
               "</section>\n");
  return cat(out, "<footer>", page.footer, "</footer>\n</main>\n</body>\n</html>\n");
}

}  // namespace sluice::report
