// The pre-tokenizer of a pipeline of the `tokenizers` library, which divides the normalized text
// into the parts that the model encodes separately: Sequence, ByteLevel, Split, Metaspace, Digits
// and WhitespaceSplit.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "text/json_field.h"
#include "text/normalizer.h"

namespace sluice::text {

class PreTokenizer {
 public:
  using Visit = std::function<void(std::string_view part, Place place)>;
  // One component. Calls `visit` for the parts of `part`, none of them empty.
  class Step {
   public:
    virtual ~Step() = default;
    virtual void split(std::string_view part, Place place, const Visit& visit) const = 0;
    virtual bool is_byte_level() const { return false; }
  };

  PreTokenizer() = default;
  explicit PreTokenizer(const JsonField& pre_tokenizer);  // kBadData if invalid or unsupported
  void split(std::string_view text, Place place, const Visit& visit) const;
  // Whether all bytes of the text reach the model as characters of byte_level.h, nothing added.
  bool keeps_all_bytes() const { return keeps_all_bytes_; }

 private:
  void add(const JsonField& pre_tokenizer);
  void split_from(std::size_t step, std::string_view part, Place place, const Visit& visit) const;

  std::vector<std::shared_ptr<const Step>> steps_;
  bool keeps_all_bytes_ = false, drops_text_ = false, adds_prefix_ = false;
};

}  // namespace sluice::text
