// The versions of `transformers` that the encoder-decoder is compared with; scripts/setup.sh --tests
// installs both.
#pragma once

namespace sluice::model::test {

struct TransformersVersion {
  const char* name;    // of a parametrised test
  const char* python;  // the interpreter that imports it
  const char* major;   // how its version begins
};

inline constexpr TransformersVersion kTransformersVersions[] = {
    {"transformers_4", SLUICE_PYTHON, "4."},
    {"transformers_5", SLUICE_SOURCE_DIR "/build/oracles5/python3", "5."},
};

}  // namespace sluice::model::test
