// README.md of an exported model: how to load and check it, data, settings, and held-out perplexity
// with its definition.
#pragma once

#include <string>

#include "interop/export_source.h"
#include "interop/layout.h"

namespace sluice::interop {

std::string model_card(const ExportSource& source, const Layout& layout);

}  // namespace sluice::interop
