// Reads members of an untrusted JSON document; every error names the path of the member.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace sluice::text {

// Parses a JSON object: at most `max_bytes`, nesting at most 32. kBadData if it is invalid. Of
// duplicate members, the last one counts.
nlohmann::json parse_json_object(std::string_view content, std::string_view name,
                                 std::size_t max_bytes);

// A value of the document, which must outlive it, with its path ("model.vocab"). Every function
// fails with kBadData and "NAME: PATH" as the subject.
// A pipeline has at most this many steps of a kind, which bounds recursion.
inline constexpr std::size_t kMaxPipelineSteps = 64;

class JsonField {
 public:
  using Json = nlohmann::json;
  JsonField(const Json& value, std::string name, std::string path = {})
      : value_(&value), name_(std::move(name)), path_(std::move(path)) {}

  const Json& json() const { return *value_; }
  std::string subject() const { return path_.empty() ? name_ : name_ + ": " + path_; }
  JsonField at(std::string_view key) const;                   // fails if it is missing
  std::optional<JsonField> find(std::string_view key) const;  // nullopt if missing or null
  JsonField item(std::size_t index) const;                    // of a list, in bounds
  std::size_t size() const { return value_->size(); }

  const std::string& string() const;
  std::string string_or(std::string_view key, std::string_view otherwise) const;
  bool flag_or(std::string_view key, bool otherwise) const;
  std::int64_t whole_number(std::int64_t lowest, std::int64_t highest) const;
  double number() const;  // finite
  const JsonField& expect_list() const;
  const JsonField& expect_object() const;
  [[noreturn]] void fail_here(std::string_view expected) const;  // names the received value

 private:
  const Json* value_;
  std::string name_, path_;
};

}  // namespace sluice::text
