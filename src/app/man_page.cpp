#include "app/man_page.h"

#include <algorithm>
#include <sstream>

#include "base/text_format.h"

namespace sluice::app {
namespace {

// Text of a line; a hyphen is written so that it can be copied, and no line is a macro.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (c == '\'')
      out += "\\(aq";
    else if (c == '`')
      out += "\\(ga";
    else if (c == '^')
      out += "\\(ha";
    else if (c == '~')
      out += "\\(ti";
    else if (c == '.' && (out.empty() || out.back() == '\n'))
      out += "\\&.";
    else
      out += c;
  }
  return out;
}

std::string upper_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return text;
}

std::string full_name(const ShownCommand& command) {
  return command.path.empty() ? "sluice" : cat("sluice ", command.path);
}

std::string synopsis(const ShownCommand& command) {
  std::string out = cat(".B ", roff(full_name(command)), "\n");
  if (!command.commands.empty()) return out + ".I COMMAND\n[\\fIOPTION\\fR ...]\n";
  for (const ShownOption& option : command.options) {
    if (!option.is_argument) continue;
    const std::string dots = option.is_list ? " ..." : "";
    out += option.is_required ? cat("\\fI", roff(option.name), "\\fR", dots, "\n")
                              : cat("[\\fI", roff(option.name), "\\fR", dots, "]\n");
  }
  return out + "[\\fIOPTION\\fR ...]\n";
}

std::string option_entry(const ShownOption& option) {
  std::string out = ".TP\n";
  if (option.is_argument)
    out += cat("\\fI", roff(option.name), "\\fR");
  else
    out += cat("\\fB", roff(option.name), "\\fR",
               option.takes_value() ? cat(" \\fI", roff(option.type), "\\fR") : "");
  out += cat("\n", roff(option.description), ".\n");
  if (!option.default_text.empty()) out += cat("Default: ", roff(option.default_text), ".\n");
  if (option.is_required && !option.is_argument) out += "Required.\n";
  return out;
}

// Lines of the footer that are indented are examples.
std::string footer_section(const std::string& footer) {
  std::istringstream lines(footer);
  std::string out;
  bool in_example = false;
  for (std::string line; std::getline(lines, line);) {
    const bool is_example = line.starts_with("  ");
    if (is_example != in_example) out += is_example ? ".PP\n.nf\n.RS 4\n" : ".RE\n.fi\n.PP\n";
    in_example = is_example;
    out += cat(roff(is_example ? line.substr(2) : line), "\n");
  }
  if (in_example) out += ".RE\n.fi\n";
  return out;
}

std::string see_also(const ShownCommand& command) {
  std::string out;
  for (const ShownCommand& below : command.commands)
    out += cat(out.empty() ? "" : " ,\n", ".BR ", roff(man_page_name(below)), " (1)");
  if (out.empty()) out = ".BR sluice (1)";
  return out + "\n";
}

}  // namespace

std::string man_page_name(const ShownCommand& command) {
  std::string name = full_name(command);
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string man_page(const ShownCommand& command, std::string_view version, std::string_view date) {
  std::string out = cat(".TH ", roff(upper_case(man_page_name(command))), " 1 ", date, " \"sluice ",
                        roff(version), "\" \"Sluice\"\n.SH NAME\n", roff(man_page_name(command)),
                        " \\- ", roff(command.description), "\n.SH SYNOPSIS\n", synopsis(command));
  std::string arguments, options;
  for (const ShownOption& option : command.options)
    (option.is_argument ? arguments : options) += option_entry(option);
  if (!arguments.empty()) out += ".SH ARGUMENTS\n" + arguments;
  if (!command.commands.empty()) {
    out += ".SH COMMANDS\n";
    for (const ShownCommand& below : command.commands)
      out += cat(".TP\n\\fB", roff(below.path), "\\fR\n", roff(below.description), ".\n");
  }
  out += cat(".SH OPTIONS\n", options, ".TP\n\\fB\\-\\-help\\fR\nPrint a short help.\n");
  if (!command.footer.empty()) out += ".SH NOTES\n" + footer_section(command.footer);
  return cat(out, ".SH \"SEE ALSO\"\n", see_also(command));
}

}  // namespace sluice::app
