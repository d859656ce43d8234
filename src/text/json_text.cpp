#include "text/json_text.h"

#include <nlohmann/json.hpp>

namespace sluice::text {

namespace {

constexpr int kMaxDepth = 100;

// Listens to the parser and keeps one string: nothing is built, so neither depth nor size of the rest costs memory.
class MemberFinder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit MemberFinder(std::string_view field) : field_(field) {}
  std::optional<std::string> take() { return std::move(found_); }

  bool null() override { return other_value(); }
  bool boolean(bool) override { return other_value(); }
  bool number_integer(number_integer_t) override { return other_value(); }
  bool number_unsigned(number_unsigned_t) override { return other_value(); }
  bool number_float(number_float_t, const string_t&) override { return other_value(); }
  bool binary(binary_t&) override { return other_value(); }
  bool string(string_t& value) override {
    if (depth_ == 0) return false;
    if (wanted_ && depth_ == 1) found_ = std::move(value);
    return true;
  }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return depth_ > 0 && enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    if (depth_ == 1) wanted_ = name == field_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  bool other_value() {
    if (wanted_ && depth_ == 1) found_.reset();
    return depth_ > 0;
  }
  bool enter() {
    if (wanted_ && depth_ == 1) found_.reset();
    return ++depth_ <= kMaxDepth;
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::string_view field_;
  std::optional<std::string> found_;
  bool wanted_ = false;  // the last key of the outermost object was field_
  int depth_ = 0;
};

}  // namespace

std::optional<std::string> json_text(std::string_view line, std::string_view field) {
  MemberFinder finder(field);
  if (!nlohmann::json::sax_parse(line.begin(), line.end(), &finder)) return std::nullopt;
  return finder.take();
}

}  // namespace sluice::text
