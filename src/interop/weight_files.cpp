#include "interop/weight_files.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::interop {
namespace {

constexpr std::uint64_t kMaxIndexBytes = 64 << 20;

// Not a path: an index must not reach other folders.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos && name != "." &&
         name != "..";
}

}  // namespace

WeightFiles::WeightFiles(const std::filesystem::path& path) : source_(path.string()) {
  path.extension() == ".json" ? read_index(path) : add_file(path);
}

void WeightFiles::add_file(const std::filesystem::path& path) {
  MappedFile bytes(path);
  store::Tensors tensors = store::parse_safetensors(bytes.bytes(), path.string());
  File& file = files_.emplace_back(File{std::move(bytes), std::move(tensors)});
  for (const store::TensorView& view : file.tensors.all)
    require(tensors_.emplace(view.name, Found{&view, file.tensors.source}).second,
            ExitCode::kBadData, cat(path.string(), ": ", printable(view.name)),
            "tensor is also in another file");
}

void WeightFiles::read_index(const std::filesystem::path& path) {
  using Json = nlohmann::json;
  const Json json =
      Json::parse(read_file(path, kMaxIndexBytes), nullptr, /*allow_exceptions=*/false);
  const bool has_map = json.is_object() && json.contains("weight_map") &&
                       json["weight_map"].is_object() && !json["weight_map"].empty();
  require(has_map, ExitCode::kBadData, path.string(),
          json.is_discarded() ? "invalid JSON" : "no weight_map", "an index of safetensors files");
  const Json& map = json["weight_map"];
  std::set<std::string> names;
  for (const auto& [tensor, file] : map.items()) {
    if (!file.is_string() || !is_plain_name(file.get_ref<const std::string&>()))
      fail(ExitCode::kBadData, cat(path.string(), ": ", printable(tensor)),
           printable(file.dump(-1, ' ', false, Json::error_handler_t::replace)),
           "the name of a file in the same folder");
    names.insert(file.get<std::string>());
  }
  for (const std::string& name : names) add_file(path.parent_path() / name);
  for (const auto& [tensor, file] : map.items()) {
    const Found* found = find(tensor);
    require(found != nullptr, ExitCode::kBadData, cat(path.string(), ": ", printable(tensor)),
            cat("missing tensor in ", printable(file.get<std::string>())));
  }
  for (const auto& [tensor, found] : tensors_)
    require(map.contains(std::string(tensor)), ExitCode::kBadData,
            cat(found.file, ": ", printable(tensor)), "tensor is not in the index");
}

const WeightFiles::Found* WeightFiles::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

}  // namespace sluice::interop
