# Writes the git revision to version.cpp at each build, but only if it changed, so that a build
# without changes compiles nothing. CMakeLists.txt includes this file to define the target, which
# runs it again with -P.

if(CMAKE_SCRIPT_MODE_FILE)
  execute_process(COMMAND git describe --always --dirty --abbrev=7 --exclude=*
                  WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE GIT_REVISION
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  configure_file(${SOURCE_DIR}/src/base/version.cpp.in ${OUTPUT} @ONLY)
  return()
endif()

set(version_source ${CMAKE_BINARY_DIR}/generated/version.cpp)
add_custom_target(sluice_revision BYPRODUCTS ${version_source} COMMENT ""
  COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${CMAKE_SOURCE_DIR} -DVERSION=${PROJECT_VERSION}
          -DOUTPUT=${version_source} -P ${CMAKE_CURRENT_LIST_FILE})
target_sources(sluice_base PRIVATE ${version_source})
# A new revision compiles nothing else.
set_source_files_properties(${version_source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
add_dependencies(sluice_base sluice_revision)
