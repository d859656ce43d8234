#include "text/json_field.h"

#include <cmath>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::text {

namespace {

constexpr int kMaxNesting = 32;

}  // namespace

nlohmann::json parse_json_object(std::string_view content, std::string_view name,
                                 std::size_t max_bytes) {
  using Json = nlohmann::json;
  if (content.size() > max_bytes)
    fail(ExitCode::kBadData, name, human_bytes(content.size()),
         cat("a file of at most ", human_bytes(max_bytes)));
  const auto limit_depth = [&](int depth, Json::parse_event_t, Json&) {
    require(depth <= kMaxNesting, ExitCode::kBadData, name, "deeply nested JSON",
            cat("a nesting of at most ", kMaxNesting));
    return true;
  };
  Json json;
  try {
    json = Json::parse(content, limit_depth);
  } catch (const Json::exception&) {
    fail(ExitCode::kBadData, name, cat('`', printable(content, 40), '`'), "a valid JSON object");
  }
  require(json.is_object(), ExitCode::kBadData, name, cat("a JSON ", json.type_name()),
          "a JSON object");
  return json;
}

JsonField JsonField::at(std::string_view key) const {
  expect_object();
  const auto found = value_->find(key);
  const std::string path = path_.empty() ? std::string(key) : cat(path_, '.', key);
  require(found != value_->end(), ExitCode::kBadData, name_ + ": " + path, "missing member");
  return {*found, name_, path};
}

std::optional<JsonField> JsonField::find(std::string_view key) const {
  expect_object();
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return at(key);
}

JsonField JsonField::item(std::size_t index) const {
  return {(*value_)[index], name_, cat(path_, '[', index, ']')};
}

const std::string& JsonField::string() const {
  if (!value_->is_string()) fail_here("a string");
  return value_->get_ref<const std::string&>();
}

std::string JsonField::string_or(std::string_view key, std::string_view otherwise) const {
  const auto field = find(key);
  return field.has_value() ? field->string() : std::string(otherwise);
}

bool JsonField::flag_or(std::string_view key, bool otherwise) const {
  const auto field = find(key);
  if (!field.has_value()) return otherwise;
  if (!field->value_->is_boolean()) field->fail_here("true or false");
  return field->value_->get<bool>();
}

std::int64_t JsonField::whole_number(std::int64_t lowest, std::int64_t highest) const {
  const bool fits = value_->is_number_unsigned()
                        ? value_->get<std::uint64_t>() <= static_cast<std::uint64_t>(highest)
                        : value_->is_number_integer();
  const std::int64_t number = fits ? value_->get<std::int64_t>() : 0;
  if (!fits || number < lowest || number > highest)
    fail_here(cat("a whole number from ", lowest, " to ", highest));
  return number;
}

double JsonField::number() const {
  if (!value_->is_number() || !std::isfinite(value_->get<double>())) fail_here("a finite number");
  return value_->get<double>();
}

const JsonField& JsonField::expect_list() const {
  if (!value_->is_array()) fail_here("a list");
  return *this;
}

const JsonField& JsonField::expect_object() const {
  if (!value_->is_object()) fail_here("an object");
  return *this;
}

void JsonField::fail_here(std::string_view expected) const {
  const bool is_scalar = !value_->is_array() && !value_->is_object();
  const std::string received =
      is_scalar ? printable(value_->dump(-1, ' ', false, Json::error_handler_t::replace), 60)
                : cat("a JSON ", value_->type_name());
  fail(ExitCode::kBadData, subject(), cat('`', received, '`'), expected);
}

}  // namespace sluice::text
