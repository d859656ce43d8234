# sluice_embed_texts(TARGET FUNCTION FILES...): adds to TARGET a source file that defines
#
#   std::span<const sluice::gpu::Text> FUNCTION();
#
# with the content of FILES, which are relative to src/ and named so. FUNCTION is qualified. A
# FILE written as NAME=PATH has the content of PATH under the name NAME.
function(sluice_embed_texts target function)
  set(rows "")
  foreach(file IN LISTS ARGN)
    string(REGEX MATCH "^(([^=]*)=)?(.*)$" _ ${file})
    set(name ${CMAKE_MATCH_2})
    set(path ${CMAKE_MATCH_3})
    if(NOT name)
      set(name ${path})
    endif()
    set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
                 ${CMAKE_SOURCE_DIR}/src/${path})
    file(READ ${CMAKE_SOURCE_DIR}/src/${path} content)
    string(APPEND rows "    Text{\"${name}\", R\"__text(${content})__text\"},\n")
  endforeach()
  string(REGEX MATCH "^(.*)::([^:]*)$" _ ${function})
  set(source ${CMAKE_BINARY_DIR}/generated/${target}_texts.cpp)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT "#include <array>
#include <span>

#include \"gpu/device.h\"

namespace ${CMAKE_MATCH_1} {
using sluice::gpu::Text;
std::span<const Text> ${CMAKE_MATCH_2}() {
  static constexpr std::array kTexts{
${rows}  };
  return kTexts;
}
}  // namespace ${CMAKE_MATCH_1}
")
  target_sources(${target} PRIVATE ${source})
  set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# Defines sluice::FOLDER::kernel_texts(): the folder's *.cu files, the kernel language and FILES.
function(sluice_embed_kernels folder)
  file(GLOB kernels CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/src
       ${CMAKE_SOURCE_DIR}/src/${folder}/*.cu)
  sluice_embed_texts(sluice_${folder} sluice::${folder}::kernel_texts gpu/target.h gpu/kernel.h
                     ${kernels} ${ARGN})
endfunction()
