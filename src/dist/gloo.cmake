# Connections between the processes of a distributed run: c10d in LibTorch, whose header needs those
# of Gloo. Gloo itself is part of LibTorch; its headers are needed only so that c10d's compile, so
# they may be of another version.
find_path(SLUICE_GLOO_INCLUDE gloo/context.h)
set(gloo_definitions USE_C10D_GLOO USE_DISTRIBUTED)
set(gloo_api ${SLUICE_TORCH_ROOT}/include/torch/csrc/api/include)
if(SLUICE_GLOO_INCLUDE AND NOT DEFINED SLUICE_GLOO_COMPILES)
  file(WRITE ${CMAKE_BINARY_DIR}/generated/gloo.cpp
       "#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>\n"
       "#include <torch/csrc/distributed/c10d/TCPStore.hpp>\n")
  list(TRANSFORM gloo_definitions PREPEND -D OUTPUT_VARIABLE gloo_flags)
  set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
  try_compile(SLUICE_GLOO_COMPILES ${CMAKE_BINARY_DIR}/generated/gloo
              SOURCES ${CMAKE_BINARY_DIR}/generated/gloo.cpp
              CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${SLUICE_TORCH_ROOT}/include;${gloo_api}"
              COMPILE_DEFINITIONS ${gloo_flags} CXX_STANDARD 20)
  unset(CMAKE_TRY_COMPILE_TARGET_TYPE)
endif()
if(SLUICE_GLOO_COMPILES)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/dist/group.cpp
                              ${CMAKE_SOURCE_DIR}/src/dist/meeting.cpp
                              ${CMAKE_SOURCE_DIR}/src/dist/transfer.cpp PROPERTIES
                              COMPILE_DEFINITIONS "SLUICE_HAS_GLOO;${gloo_definitions}"
                              COMPILE_OPTIONS "-isystem${gloo_api}"
                              SKIP_PRECOMPILE_HEADERS ON)
else()
  message(STATUS "No distributed training: Gloo's headers (libgloo-dev, which scripts/setup.sh "
                 "installs) are missing or do not fit this LibTorch")
endif()
