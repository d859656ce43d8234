// NVRTC's functions, which compile kernels for the host.
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "tests/gpu/host_device.h"

namespace {

struct Program {
  std::vector<std::string> strings;
  sluice::gpu::Sources sources;
  std::string binary, log;
};

}  // namespace

extern "C" {

int nvrtcVersion(int* major, int* minor) {
  *major = 13;
  *minor = 0;
  return 0;
}
int nvrtcCreateProgram(Program** program, const char* source, const char* name, int num_headers,
                       const char* const* headers, const char* const* names) {
  auto* made = new Program;
  made->strings.reserve(2 * static_cast<std::size_t>(num_headers) + 2);
  const auto add = [&](const char* text_name, const char* content) {
    const std::string& kept = made->strings.emplace_back(text_name);
    made->sources.texts.push_back({kept, made->strings.emplace_back(content)});
  };
  add(name, source);
  // Others stand for the standard library.
  for (int i = 0; i < num_headers; ++i)
    if (std::strpbrk(names[i], "/.") != nullptr) add(names[i], headers[i]);
  *program = made;
  return 0;
}
int nvrtcCompileProgram(Program* program, int, const char* const*) {
  try {
    program->binary = sluice::gpu::test::HostCompiler().compile(program->sources);
  } catch (const std::exception& error) {
    program->log = error.what();
    return 6;
  }
  return 0;
}
int nvrtcGetProgramLogSize(Program* program, std::size_t* size) {
  *size = program->log.size();
  return 0;
}
int nvrtcGetProgramLog(Program* program, char* log) {
  program->log.copy(log, program->log.size());
  return 0;
}
int nvrtcGetCUBINSize(Program* program, std::size_t* size) {
  *size = program->binary.size();
  return 0;
}
int nvrtcGetCUBIN(Program* program, char* binary) {
  program->binary.copy(binary, program->binary.size());
  return 0;
}
int nvrtcDestroyProgram(Program** program) {
  delete *program;
  return 0;
}
}
