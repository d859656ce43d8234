# The git revision, looked up at each build and written only when it differs, so that a build without changes compiles nothing.
# Included by CMakeLists.txt to set up the target; run with -P by that target.

if(CMAKE_SCRIPT_MODE_FILE)
  execute_process(COMMAND git describe --always --dirty --abbrev=7 --exclude=* WORKING_DIRECTORY ${SOURCE_DIR}
                  OUTPUT_VARIABLE GIT_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  configure_file(${SOURCE_DIR}/src/base/version.cpp.in ${OUTPUT} @ONLY)
  return()
endif()

set(version_source ${CMAKE_BINARY_DIR}/generated/version.cpp)
add_custom_target(sluice_revision BYPRODUCTS ${version_source} COMMENT ""
  COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${CMAKE_SOURCE_DIR} -DVERSION=${PROJECT_VERSION} -DOUTPUT=${version_source} -P ${CMAKE_CURRENT_LIST_FILE})
target_sources(sluice_base PRIVATE ${version_source})
add_dependencies(sluice_base sluice_revision)
