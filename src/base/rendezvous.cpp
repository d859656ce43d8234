#include "base/rendezvous.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"

namespace sluice {
namespace {

constexpr const char* kVariable = "SLUICE_RENDEZVOUS";

}  // namespace

Rendezvous::Rendezvous(std::size_t num, double seconds, std::filesystem::path directory)
    : num_(num), seconds_(seconds), directory_(std::move(directory)) {}

std::string Rendezvous::variable(std::size_t num, double seconds,
                                 const std::filesystem::path& directory) {
  return cat(kVariable, "=", num, " ", seconds, " ", std::filesystem::absolute(directory).string());
}

std::optional<Rendezvous> Rendezvous::from_environment() {
  const char* value = std::getenv(kVariable);
  if (value == nullptr) return std::nullopt;
  std::istringstream words(value);
  std::size_t num = 0;
  double seconds = 0;
  std::string directory;
  words >> num >> seconds >> std::ws;
  std::getline(words, directory);
  if (num == 0 || directory.empty()) return std::nullopt;
  return Rendezvous(num, seconds, directory);
}

void Rendezvous::arrive(const std::string& stage) const {
  const std::filesystem::path file = directory_ / cat(stage, '-', ::getpid(), '-', ::gettid());
  require(static_cast<bool>(std::ofstream(file)), ExitCode::kIo, file.string(), "cannot write");
}

bool Rendezvous::is_complete(const std::string& stage) const {
  std::size_t arrived = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_))
    arrived += entry.path().filename().string().starts_with(stage + "-") ? 1 : 0;
  return arrived >= num_;
}

void Rendezvous::meet(const std::string& stage) const {
  arrive(stage);
  while (!is_complete(stage)) {
    throw_if_stopped("waiting for the other measurements");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace sluice
