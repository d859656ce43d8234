#include "train/checkpoint.h"

#include <ATen/ATen.h>

#include <cmath>
#include <memory>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "config/config.h"
#include "eval/load_model.h"
#include "store/safetensors.h"
#include "train/sharding.h"

namespace sluice::train {
namespace {

constexpr std::string_view kModel = "model.safetensors", kOptimizer = "optimizer.safetensors",
                           kConfig = "config.yaml", kState = "train_state.json";
constexpr std::uint64_t kMaxTextBytes = 64 << 20;

// Tensors in host memory and the views of them to write.
struct HostTensors {
  std::vector<at::Tensor> owners;
  std::vector<store::TensorView> views;

  void add(const std::string& name, const at::Tensor& tensor) {
    const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
    const store::Dtype dtype =
        host.scalar_type() == at::kDouble ? store::Dtype::kF64 : store::Dtype::kF32;
    invariant(dtype == store::Dtype::kF64 || host.scalar_type() == at::kFloat,
              "checkpoints hold fp32 and fp64");
    views.push_back({name,
                     dtype,
                     host.sizes().vec(),
                     {static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}});
    owners.push_back(host);
  }
};

HostTensors model_tensors(const ops::Parameters& parameters) {
  HostTensors tensors;
  for (const ops::Parameters::Named& parameter : parameters.named())
    tensors.add(parameter.spec->name, parameter.value);
  return tensors;
}

std::int64_t part_size(const optim::Optimizer::State& state, int rank) {
  const auto r = static_cast<std::size_t>(rank);
  return state.begins[r + 1] - state.begins[r];
}

// The parts of all processes.
at::Tensor receive_state(const optim::Optimizer::State& state, dist::Group& group) {
  const at::Tensor whole = at::empty({state.begins.back()}, at::kFloat);
  std::vector<dist::Group::Message> receives;
  for (int rank = 0; rank < group.size(); ++rank) {
    const at::Tensor part =
        whole.narrow(0, state.begins[static_cast<std::size_t>(rank)], part_size(state, rank));
    if (rank == group.rank())
      part.copy_(state.tensor);
    else if (part.numel() > 0)
      receives.push_back({rank, part});
  }
  group.exchange({}, receives);
  return whole;
}

// The state of a divided optimizer, received part by part while it is written.
std::vector<store::TensorSource> divided_state(optim::Optimizer& optimizer, dist::Group* group) {
  std::vector<store::TensorSource> sources;
  const auto written = std::make_shared<at::Tensor>();
  for (const optim::Optimizer::State& state : optimizer.state()) {
    const bool is_scalar = state.begins.empty();
    const auto bytes = [state, written, group, is_scalar] {
      *written = is_scalar ? state.tensor : receive_state(state, *group);
      return std::span(static_cast<const std::byte*>(written->const_data_ptr()), written->nbytes());
    };
    sources.push_back(
        {state.name, is_scalar ? store::Dtype::kF64 : store::Dtype::kF32, state.shape, bytes});
  }
  return sources;
}

HostTensors optimizer_tensors(optim::Optimizer& optimizer) {
  HostTensors tensors;
  for (const optim::Optimizer::State& state : optimizer.state())
    tensors.add(state.name, state.tensor);
  return tensors;
}

store::CheckpointFile tensor_file(std::string_view name, HostTensors tensors) {
  auto shared = std::make_shared<const HostTensors>(std::move(tensors));
  return {std::string(name),
          [shared](OutputFile& file) { store::write_safetensors(file, shared->views); }};
}

// Sharded weights, received parameter by parameter while they are written.
std::vector<store::TensorSource> sharded_weights(const Savable& savable) {
  std::vector<store::TensorSource> sources;
  const auto written = std::make_shared<at::Tensor>();
  for (const ops::Parameters::Named& parameter : savable.parameters.named()) {
    const auto bytes = [parameter, written, &shards = savable.optimizer.shards(),
                        group = savable.group] {
      *written = receive_whole(parameter, shards, *group);
      return std::span(static_cast<const std::byte*>(written->const_data_ptr()), written->nbytes());
    };
    sources.push_back({parameter.spec->name, store::Dtype::kF32, parameter.spec->shape, bytes});
  }
  return sources;
}

store::CheckpointFile model_file(const Savable& savable) {
  if (!savable.optimizer.shards().of_parameters)
    return tensor_file(kModel, model_tensors(savable.parameters));
  return {std::string(kModel), [sources = sharded_weights(savable)](OutputFile& file) {
            store::write_safetensors(file, std::span(sources));
          }};
}

store::CheckpointFile optimizer_file(const Savable& savable) {
  if (!savable.optimizer.shards().is_divided())
    return tensor_file(kOptimizer, optimizer_tensors(savable.optimizer));
  return {std::string(kOptimizer),
          [sources = divided_state(savable.optimizer, savable.group)](OutputFile& file) {
            store::write_safetensors(file, std::span(sources));
          }};
}

store::CheckpointFile text_file(std::string_view name, std::string text) {
  return {std::string(name),
          [text = std::move(text)](OutputFile& file) { file.write(std::string_view(text)); }};
}

}  // namespace

RunConfig portable_config(RunConfig config) { return config::without_paths(std::move(config)); }

std::vector<store::CheckpointFile> checkpoint_files(const Savable& savable,
                                                    const CheckpointState& state) {
  return {
      model_file(savable), optimizer_file(savable),
      text_file(savable.tokenizer.file_name(), savable.tokenizer.serialized()),
      text_file(kConfig, config::to_yaml(portable_config(savable.config), config::Comments::kNone)),
      text_file(kState, config::to_json(state))};
}

void send_parts(const Savable& savable) {
  if (savable.optimizer.shards().of_parameters)
    send_weights(savable.parameters, savable.optimizer.shards(), *savable.group);
  for (const optim::Optimizer::State& state : savable.optimizer.state()) {
    if (state.begins.empty() || state.tensor.numel() == 0) continue;
    const dist::Group::Message message{0, state.tensor.contiguous()};
    savable.group->exchange({&message, 1}, {});
  }
}

std::map<std::string, std::string> checkpoint_notes(const Savable& savable,
                                                    const CheckpointState& state) {
  return {{"tokenizer_hash", savable.tokenizer.hash().hex()},
          {"data_fingerprint", state.fingerprint}};
}

std::uint64_t checkpoint_bytes(const Savable& savable) {
  constexpr std::uint64_t kTexts = 256 << 10;  // configuration, state, manifest, file system blocks
  return (savable.optimizer.shards().of_parameters
              ? store::safetensors_size_bytes(sharded_weights(savable))
              : store::safetensors_size_bytes(model_tensors(savable.parameters).views)) +
         (savable.optimizer.shards().is_divided()
              ? store::safetensors_size_bytes(divided_state(savable.optimizer, savable.group))
              : store::safetensors_size_bytes(optimizer_tensors(savable.optimizer).views)) +
         savable.tokenizer.serialized().size() + kTexts;
}

CheckpointState read_state(const std::filesystem::path& checkpoint) {
  const std::filesystem::path path = checkpoint / kState;
  return config::from_json<CheckpointState>(read_file(path, kMaxTextBytes), path.string());
}

RunConfig read_config(const std::filesystem::path& checkpoint) {
  const std::filesystem::path path = checkpoint / kConfig;
  try {
    return config::parse<RunConfig>(read_file(path, kMaxTextBytes), path.string());
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kUsage) throw;
    // The checkpoint is damaged; the command line is not at fault.
    throw UserError(ExitCode::kBadData, error.what());
  }
}

std::unique_ptr<text::Tokenizer> read_tokenizer(const store::Checkpoint& checkpoint) {
  const std::string source = checkpoint.directory.string();
  for (const store::ManifestFile& file : checkpoint.manifest.files) {
    if (!file.name.starts_with("tokenizer.")) continue;
    const std::filesystem::path path = checkpoint.directory / file.name;
    std::unique_ptr<text::Tokenizer> tokenizer =
        text::parse_tokenizer(read_file(path, kMaxTextBytes), path.string());
    const std::string& noted = checkpoint.manifest.note("tokenizer_hash", source);
    require(tokenizer->hash().hex() == noted, ExitCode::kBadData, path.string(),
            cat("tokenizer hash ", tokenizer->hash().hex()),
            cat("tokenizer hash ", noted, ", as in the manifest"));
    return tokenizer;
  }
  fail(ExitCode::kBadData, source, "no tokenizer file; expected tokenizer.model or tokenizer.json");
}

void restore(const std::filesystem::path& checkpoint, ops::Parameters& parameters,
             optim::Optimizer& optimizer) {
  const std::filesystem::path model_path = checkpoint / kModel,
                              optimizer_path = checkpoint / kOptimizer;
  const MappedFile model_file(model_path), optimizer_file(optimizer_path);
  std::vector<eval::NamedTensor> state;
  for (const optim::Optimizer::State& part : optimizer.state())
    state.push_back(
        {part.name, part.tensor,
         part.begins.empty()
             ? std::nullopt
             : std::optional(eval::NamedTensor::Whole{
                   part.shape, part.begins[static_cast<std::size_t>(optimizer.shards().rank)]})});
  const store::Tensors weights = store::parse_safetensors(model_file.bytes(), model_path.string());
  const store::Tensors saved_state =
      store::parse_safetensors(optimizer_file.bytes(), optimizer_path.string());
  eval::copy_tensors(saved_state, state);
  eval::load_parameters(parameters, weights, resident_ranges(parameters, optimizer.shards()));
  for (const eval::NamedTensor& part : state) {
    if (part.tensor.dim() != 0) continue;
    const double value = part.tensor.item<double>();
    require(std::isfinite(value) && value >= 0, ExitCode::kBadData,
            cat(optimizer_path.string(), ": ", part.name), shortest(value), "a count");
  }
}

void warn_of_damage(std::string_view reason) {
  log::warn(cat("skipping damaged checkpoint: ", reason));
}

}  // namespace sluice::train
