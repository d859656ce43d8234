// train_state.json: CheckpointState as text. Used inside train.
#pragma once

#include <string>
#include <string_view>

#include "train/checkpoint.h"

namespace sluice::train {

std::string to_json(const CheckpointState& state);
// kBadData where a key is missing, unknown, of another type or out of range; `source` stands for the file.
CheckpointState parse_state(std::string_view text, const std::string& source);

}  // namespace sluice::train
