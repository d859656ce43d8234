// The weights of a Hugging Face model: one safetensors file, or several with an index.
//
//   model.safetensors.index.json  {"weight_map": {"NAME": "model-00001-of-00002.safetensors", ...}}
//
// Files are data: an index may only name plain files next to it, and must list exactly the tensors
// that they contain.
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <string>
#include <string_view>

#include "base/file.h"
#include "store/safetensors.h"

namespace sluice::interop {

class WeightFiles {
 public:
  // `path`: a .safetensors file or an index. kMissingInput or kBadData, naming the file.
  explicit WeightFiles(const std::filesystem::path& path);

  const std::string& source() const { return source_; }  // for messages
  struct Found {
    const store::TensorView* view = nullptr;
    std::string_view file;
  };
  // Null if there is none.
  const Found* find(std::string_view name) const;
  const std::map<std::string_view, Found>& all() const { return tensors_; }

 private:
  void add_file(const std::filesystem::path& path);
  void read_index(const std::filesystem::path& path);

  struct File {
    MappedFile bytes;
    store::Tensors tensors;
  };
  std::string source_;
  std::list<File> files_;
  std::map<std::string_view, Found> tensors_;  // views into files_
};

}  // namespace sluice::interop
