# cairn_library(NAME name DIR folder [PLANTED] DEPS dep... [TEST_DEPS dep...])
#   One library a folder: every *.cc in it but *_test.cc, and one test program of its *_test.cc
#   (which may share headers named *_test_util.h).
#   DEPS lists what its files may include: other cairn libraries by name, and outside libraries by
#   the names of the table below. The build fails if a file includes anything else (CheckIncludes
#   runs before the library compiles). A dependency must be declared before its user, so there are
#   no cycles.
#   PLANTED builds the library a second time, as name_planted, with the bugs of src/base/planted_bug.h
#   in it: for the simulator and other tests that plant them. No program may link both.
# cairn_program(NAME name SRCS file... DEPS dep...)      a program under build/bin
# cairn_test(NAME name SRCS file... DEPS dep... [LABELS l...])   a test that crosses libraries
# cairn_fuzzer(NAME name SRCS file... DEPS dep...)       a libFuzzer program, with CAIRN_FUZZERS

# Outside libraries: their include prefixes are their names. The links of those that are not here are
# in CairnArchives.
include(CairnArchives)
set(CAIRN_EXTERNALS absl fmt spdlog xxhash rocksdb thrift boost tomlplusplus CLI nlohmann
    benchmark grpcpp google rapidcheck gtest gmock ucp ucs asio histedit httplib)
set(CAIRN_EXT_fmt fmt::fmt)
set(CAIRN_EXT_spdlog spdlog::spdlog)
set(CAIRN_EXT_xxhash xxhash)
set(CAIRN_EXT_boost)
set(CAIRN_EXT_tomlplusplus tomlplusplus)
set(CAIRN_EXT_CLI)
set(CAIRN_EXT_nlohmann)
set(CAIRN_EXT_benchmark benchmark)
set(CAIRN_EXT_rapidcheck rapidcheck)
set(CAIRN_EXT_ucp ucp)
set(CAIRN_EXT_ucs ucs)
set(CAIRN_EXT_asio ssl crypto)
set(CAIRN_EXT_histedit edit)
set(CAIRN_EXT_httplib cairn_httplib)
set(CAIRN_EXT_gtest GTest::gtest)
set(CAIRN_EXT_gmock GTest::gmock)

# Writes to `out` the link targets for the dependency names given.
function(cairn_link_names out)
  set(links)
  foreach(dep ${ARGN})
    if(dep IN_LIST CAIRN_EXTERNALS)
      list(APPEND links ${CAIRN_EXT_${dep}})
    elseif(TARGET cairn_${dep})
      list(APPEND links cairn_${dep})
    else()
      message(FATAL_ERROR "Unknown dependency '${dep}': declare its cairn_library first")
    endif()
  endforeach()
  set(${out} ${links} PARENT_SCOPE)
endfunction()

# Adds a build step that checks the includes of `files` against `deps`; `target` waits for it.
function(cairn_check_includes target own deps files)
  set(dirs)
  set(externals)
  foreach(dep ${deps})
    if(dep IN_LIST CAIRN_EXTERNALS)
      list(APPEND externals ${dep})
    else()
      get_target_property(dir cairn_${dep} CAIRN_DIR)
      list(APPEND dirs ${dir})
    endif()
  endforeach()
  set(stamp ${CMAKE_BINARY_DIR}/checks/${target}.stamp)
  add_custom_command(
    OUTPUT ${stamp}
    COMMAND ${CMAKE_COMMAND} "-DTARGET=${target}" "-DOWN=${own}" "-DDIRS=${dirs}"
            "-DEXTERNALS=${externals}" "-DKNOWN=${CAIRN_EXTERNALS}" "-DFILES=${files}"
            "-DSTAMP=${stamp}" -P ${CMAKE_SOURCE_DIR}/cmake/CheckIncludes.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/CheckIncludes.cmake
    COMMENT "Checking the includes of ${target}" VERBATIM)
  add_custom_target(${target}_includes DEPENDS ${stamp})
  add_dependencies(${target} ${target}_includes)
endfunction()

function(cairn_library)
  cmake_parse_arguments(ARG "PLANTED" "NAME;DIR" "DEPS;TEST_DEPS" ${ARGN})
  set(dir ${CMAKE_SOURCE_DIR}/${ARG_DIR})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  file(GLOB headers CONFIGURE_DEPENDS ${dir}/*.h)
  set(test_headers ${headers})
  list(FILTER test_headers INCLUDE REGEX "_test_util\\.h$")
  list(FILTER headers EXCLUDE REGEX "_test_util\\.h$")
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  set(target cairn_${ARG_NAME})
  cairn_link_names(links ${ARG_DEPS})
  if(sources)
    add_library(${target} STATIC ${sources})
    target_link_libraries(${target} PUBLIC ${links} Threads::Threads)
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${links} Threads::Threads)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
  endif()
  set_target_properties(${target} PROPERTIES CAIRN_DIR ${ARG_DIR})
  cairn_check_includes(${target} ${ARG_DIR} "${ARG_DEPS}" "${sources};${headers}")
  if(ARG_PLANTED)
    add_library(${target}_planted STATIC ${sources})
    target_link_libraries(${target}_planted PUBLIC ${links} Threads::Threads)
    target_include_directories(${target}_planted PUBLIC ${CMAKE_SOURCE_DIR}
                               ${CMAKE_SOURCE_DIR}/include)
    target_compile_definitions(${target}_planted PUBLIC CAIRN_PLANTED_BUGS)
    set_target_properties(${target}_planted PROPERTIES CAIRN_DIR ${ARG_DIR})
  endif()
  if(tests)
    cairn_link_names(test_links ${ARG_TEST_DEPS})
    add_executable(${ARG_NAME}_test ${tests})
    target_link_libraries(${ARG_NAME}_test PRIVATE ${target} ${test_links} GTest::gtest GTest::gmock
                          GTest::gtest_main)
    cairn_check_includes(${ARG_NAME}_test ${ARG_DIR} "${ARG_DEPS};${ARG_TEST_DEPS};gtest;gmock"
                         "${tests};${test_headers}")
    add_test(NAME ${ARG_NAME}_test COMMAND ${ARG_NAME}_test)
    set_tests_properties(${ARG_NAME}_test PROPERTIES LABELS unit TIMEOUT 600)
  endif()
endfunction()

function(cairn_program)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  cairn_link_names(links ${ARG_DEPS})
  add_executable(${ARG_NAME} ${ARG_SRCS})
  target_link_libraries(${ARG_NAME} PRIVATE ${links} Threads::Threads)
  target_include_directories(${ARG_NAME} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
endfunction()

function(cairn_test)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS;LABELS" ${ARGN})
  cairn_program(NAME ${ARG_NAME} SRCS ${ARG_SRCS} DEPS ${ARG_DEPS} gtest gmock)
  target_link_libraries(${ARG_NAME} PRIVATE GTest::gtest_main)
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 900)
endfunction()

function(cairn_fuzzer)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  if(NOT CAIRN_FUZZERS)
    return()
  endif()
  cairn_program(NAME ${ARG_NAME} SRCS ${ARG_SRCS} DEPS ${ARG_DEPS})
  target_link_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME} -max_total_time=6 -rss_limit_mb=2048 -timeout=60)
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()
