#include "data/split_reader.h"

#include "base/signals.h"

namespace sluice::data {

void read_split(const SplitRequest& request, text::FaultReport& report, const std::function<void(SplitItem)>& each) {
  std::uint64_t num_blocks = 0;
  bool inside_document = request.start.inside_document;
  for (const std::filesystem::path& file : request.files) {
    const text::BlockVisitor visitor{.block =
                                         [&](std::string_view text, std::uint64_t offset) {
                                           throw_if_stopped("preparing data");
                                           num_blocks += 1;
                                           if (!request.select(text, file, offset) || num_blocks <= request.start.num_blocks) return;
                                           inside_document = true;
                                           each({.text = std::string(text), .ends_document = false, .num_blocks = num_blocks});
                                         },
                                     .end_of_document =
                                         [&] {
                                           if (num_blocks < request.start.num_blocks || !inside_document) return;
                                           inside_document = false;
                                           each({.text = {}, .ends_document = true, .num_blocks = num_blocks});
                                         }};
    text::for_each_block(file, request.corpus, report, visitor);
  }
}

}  // namespace sluice::data
