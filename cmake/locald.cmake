# SPDX-License-Identifier: Apache-2.0
# How every room is built: one call a room, sources listed one by one, each flag with its reason.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON)  # TRY is a statement expression
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(LOCALD_TESTS "build the unit tests" OFF)
option(LOCALD_FUZZ "build the fuzz targets (clang)" OFF)
option(LOCALD_STATIC "link the CLI and the shim statically (off under sanitizers)" ON)
option(LOCALD_UNITY "compile the sources of a room as one: a first build costs a third, the next ones more" OFF)
set(LOCALD_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")

add_compile_options(
  -Wall -Wextra -Werror
  -Wshadow             # two `fd`s in one function: the wrong one gets closed
  -Wnon-virtual-dtor   # interfaces are deleted through their base
  -Wno-missing-field-initializers)  # designated initialisers name what they set
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-maybe-uninitialized  # GCC 12 sees ghosts in std::optional and std::variant
                      -Wno-free-nonheap-object)  # and where TRY unpacks a Result that holds a std::map
else()
  add_compile_options(-Wno-deprecated-declarations)  # Clang 19 reports what GCC 12's std::stable_sort calls
endif()
if(LOCALD_SANITIZE)
  add_compile_options(-fsanitize=${LOCALD_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${LOCALD_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND LOCALD_SANITIZE STREQUAL "thread")
    add_compile_options(-Wno-tsan)  # Asio's fences: TSan does not see them, GCC says so
  endif()
endif()

# The tree of a build is the tree of an installation, so that the binaries find
# each other in the same way in both.
set(LOCALD_BIN ${CMAKE_BINARY_DIR}/bin)
set(LOCALD_LIBEXEC ${CMAKE_BINARY_DIR}/libexec/locald)

# Where the tests find their golden files. A header, not a definition on every command: a compiler
# cache then serves each checkout with what another one compiled.
if(LOCALD_TESTS)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/base/source_dir.h
       CONTENT "#pragma once\n#define LOCALD_SOURCE_DIR \"@CMAKE_SOURCE_DIR@\"\n" @ONLY)
endif()

# With LOCALD_UNITY the sources of `target`, also of a program of tests, are compiled as one, those of the folders APART as a
# second one (no compiler needs more than 1.5 GB), sources ALONE by themselves. Names in the
# anonymous namespaces of one group must differ.
function(locald_unity target)
  if(NOT LOCALD_UNITY)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "ALONE;APART" ${ARGN})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  target_compile_options(${target} PRIVATE -Wno-subobject-linkage)  # meant for headers
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    get_filename_component(folder ${source} DIRECTORY)
    set(group room)
    if(folder IN_LIST ARG_APART)
      set(group apart)
    endif()
    if(source IN_LIST ARG_ALONE)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    else()
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group})
    endif()
  endforeach()
endfunction()

# locald_static_program(NAME SOURCE LIBRARY): a small program beside the server, which outlives the one
# that started it: static, and without what it does not use.
function(locald_static_program name source library)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE ${library})
  target_link_options(${name} PRIVATE -Wl,--gc-sections $<$<CONFIG:Release>:-s> $<$<BOOL:${LOCALD_STATIC}>:-static>)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${LOCALD_LIBEXEC})
  install(TARGETS ${name} DESTINATION libexec/locald)
endfunction()

# locald_library(NAME room SOURCES … TESTS … DEPS … PRIVATE_DEPS …): the library
# locald_<room> and, with LOCALD_TESTS, the program <room>_test. DECIDES: the room moves no bytes and
# leaves what runs often to others, so a release compiles it with -O1, which takes a quarter less.
function(locald_library)
  cmake_parse_arguments(ARG "DECIDES" "NAME" "SOURCES;TESTS;DEPS;PRIVATE_DEPS;TEST_DEPS" ${ARGN})
  add_library(locald_${ARG_NAME} STATIC ${ARG_SOURCES})
  target_include_directories(locald_${ARG_NAME} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(locald_${ARG_NAME} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  if(ARG_DECIDES)
    target_compile_options(locald_${ARG_NAME} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
  if(LOCALD_TESTS AND ARG_TESTS)
    add_executable(${ARG_NAME}_test ${ARG_TESTS})
    target_link_libraries(${ARG_NAME}_test PRIVATE locald_${ARG_NAME} ${ARG_TEST_DEPS} GTest::gtest_main)
    target_include_directories(${ARG_NAME}_test PRIVATE ${CMAKE_BINARY_DIR}/generated)
    locald_unity(${ARG_NAME}_test)
    add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME}_test)
  endif()
endfunction()
