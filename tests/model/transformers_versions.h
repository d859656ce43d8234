// The `transformers` versions used as references for the encoder-decoder. `scripts/setup.sh
// --tests` installs both.
#pragma once

namespace sluice::model::test {

struct TransformersVersion {
  const char* name;    // of the parameterized test
  const char* python;  // the interpreter that imports it
  const char* major;   // prefix of its version
};

inline constexpr TransformersVersion kTransformersVersions[] = {
    {"transformers_4", SLUICE_PYTHON, "4."},
    {"transformers_5", SLUICE_SOURCE_DIR "/build/oracles5/python3", "5."},
};

}  // namespace sluice::model::test
