// latex_text() of text.h: for pdflatex with UTF-8 and T1 fonts.
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/text_format.h"
#include "report/text.h"

namespace sluice::report {
namespace {

struct Command {
  std::string_view character, command;
};

constexpr std::array<Command, 65> kCommands = {{{"\\", "\\textbackslash{}"},
                                                {"{", "\\{"},
                                                {"}", "\\}"},
                                                {"$", "\\$"},
                                                {"&", "\\&"},
                                                {"#", "\\#"},
                                                {"%", "\\%"},
                                                {"_", "\\_"},
                                                {"^", "\\textasciicircum{}"},
                                                {"~", "\\textasciitilde{}"},
                                                {"`", "\\textasciigrave{}"},
                                                {"<", "\\textless{}"},
                                                {">", "\\textgreater{}"},
                                                {"|", "\\textbar{}"},
                                                {"\"", "\\textquotedbl{}"},
                                                // [ and * after \\ would be its arguments
                                                {"[", "{[}"},
                                                {"]", "{]}"},
                                                {"*", "{*}"},
                                                {kMinus, "$-$"},
                                                {kUnknown, "--"},
                                                {"—", "---"},
                                                {"…", "\\ldots{}"},
                                                {"±", "$\\pm$"},
                                                {"×", "$\\times$"},
                                                {"÷", "$\\div$"},
                                                {"·", "$\\cdot$"},
                                                {"µ", "$\\mu$"},
                                                {"†", "\\textdagger{}"},
                                                {"→", "$\\to$"},
                                                {"←", "$\\leftarrow$"},
                                                {"≤", "$\\leq$"},
                                                {"≥", "$\\geq$"},
                                                {"≠", "$\\neq$"},
                                                {"≈", "$\\approx$"},
                                                {"∞", "$\\infty$"},
                                                {"√", "$\\surd$"},
                                                {"∈", "$\\in$"},
                                                {"α", "$\\alpha$"},
                                                {"β", "$\\beta$"},
                                                {"γ", "$\\gamma$"},
                                                {"δ", "$\\delta$"},
                                                {"ε", "$\\varepsilon$"},
                                                {"ζ", "$\\zeta$"},
                                                {"η", "$\\eta$"},
                                                {"θ", "$\\theta$"},
                                                {"κ", "$\\kappa$"},
                                                {"λ", "$\\lambda$"},
                                                {"μ", "$\\mu$"},
                                                {"ν", "$\\nu$"},
                                                {"ξ", "$\\xi$"},
                                                {"π", "$\\pi$"},
                                                {"ρ", "$\\rho$"},
                                                {"σ", "$\\sigma$"},
                                                {"τ", "$\\tau$"},
                                                {"φ", "$\\varphi$"},
                                                {"χ", "$\\chi$"},
                                                {"ψ", "$\\psi$"},
                                                {"ω", "$\\omega$"},
                                                {"Γ", "$\\Gamma$"},
                                                {"Δ", "$\\Delta$"},
                                                {"Λ", "$\\Lambda$"},
                                                {"Σ", "$\\Sigma$"},
                                                {"Φ", "$\\Phi$"},
                                                {"Ω", "$\\Omega$"},
                                                {"\xC2\xA0", "~"}}};

std::size_t length_of(std::string_view utf8) {
  const auto first = static_cast<unsigned char>(utf8.front());
  return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

unsigned code_of(std::string_view character) {
  const auto first = static_cast<unsigned char>(character.front());
  unsigned code = character.size() == 1 ? first : first & (0x7FU >> character.size());
  for (const char byte : character.substr(1))
    code = code << 6 | (static_cast<unsigned char>(byte) & 0x3FU);
  return code;
}

// Characters that LaTeX declares for UTF-8 and T1: Latin-1, most of Latin Extended-A, quotation
// marks.
bool is_declared(unsigned code) {
  constexpr std::array<unsigned, 9> kLatinGaps = {0x126, 0x127, 0x138, 0x13F, 0x140,
                                                  0x149, 0x166, 0x167, 0xAD};
  if (code < 0x80) return true;
  if (code >= 0xA1 && code <= 0x17E)
    return std::find(kLatinGaps.begin(), kLatinGaps.end(), code) == kLatinGaps.end();
  constexpr std::array<unsigned, 9> kPunctuation = {0x2018, 0x2019, 0x201A, 0x201C, 0x201D,
                                                    0x201E, 0x2022, 0x2030, 0x20AC};
  return std::find(kPunctuation.begin(), kPunctuation.end(), code) != kPunctuation.end();
}

std::string code_text(unsigned code) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string digits;
  for (int shift = code > 0xFFFF ? 20 : 12; shift >= 0; shift -= 4)
    digits += kDigits[code >> shift & 0xF];
  return cat("\\texttt{U+", digits[0] == '0' && digits.size() > 4 ? digits.substr(1) : digits, "}");
}

// `--`, `''` and `,,` would be typeset as one character.
bool is_ligature(std::string_view before, std::string_view character) {
  return before.ends_with(character) && (character == "-" || character == "'" || character == ",");
}

}  // namespace

std::string latex_text(std::string_view text) {
  const std::string clean = printable(text, std::numeric_limits<std::size_t>::max());
  std::string out;
  for (std::string_view rest = clean; !rest.empty();) {
    const std::string_view character = rest.substr(0, length_of(rest));
    rest.remove_prefix(character.size());
    const auto found = std::find_if(kCommands.begin(), kCommands.end(),
                                    [&](const Command& one) { return one.character == character; });
    if (found != kCommands.end()) {
      out += found->command;
    } else if (const unsigned code = code_of(character); !is_declared(code)) {
      out += code_text(code);
    } else {
      out.append(is_ligature(out, character) ? "{}" : "").append(character);
    }
  }
  return out;
}

}  // namespace sluice::report
