# Code from api/kvstore.thrift, made at build time:
#   C++ into build/gen-cpp/api, as the library `kvstore_thrift` (a name for DEPS); users include
#     "api/TransactionalKV.h" and "api/kvstore_types.h"
#   Python into build/gen-py (target kvstore_thrift_py), module `kvstore`
# cairn_thrift_python(TARGET name IDL file OUT directory MODULE name)   Python from another IDL file
find_program(CAIRN_THRIFT_COMPILER thrift REQUIRED)

set(CAIRN_GEN_CPP ${CMAKE_BINARY_DIR}/gen-cpp)
set(CAIRN_GEN_PY ${CMAKE_BINARY_DIR}/gen-py)
file(MAKE_DIRECTORY ${CAIRN_GEN_CPP}/api)

add_custom_command(
  OUTPUT ${CAIRN_GEN_CPP}/api/TransactionalKV.cpp ${CAIRN_GEN_CPP}/api/TransactionalKV.h
         ${CAIRN_GEN_CPP}/api/kvstore_types.cpp ${CAIRN_GEN_CPP}/api/kvstore_types.h
  COMMAND ${CAIRN_THRIFT_COMPILER}
          --gen cpp:no_skeleton,moveable_types,no_ostream_operators,no_default_operators,include_prefix
          -out ${CAIRN_GEN_CPP}/api api/kvstore.thrift
  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
  DEPENDS ${CMAKE_SOURCE_DIR}/api/kvstore.thrift
  COMMENT "Generating C++ from api/kvstore.thrift" VERBATIM)

add_library(cairn_kvstore_thrift STATIC ${CAIRN_GEN_CPP}/api/TransactionalKV.cpp
            ${CAIRN_GEN_CPP}/api/kvstore_types.cpp)
# Generated code is not held to our warnings.
target_compile_options(cairn_kvstore_thrift PRIVATE -w)
target_include_directories(cairn_kvstore_thrift SYSTEM PUBLIC ${CAIRN_GEN_CPP})
target_link_libraries(cairn_kvstore_thrift PUBLIC ${CAIRN_EXT_thrift})
set_target_properties(cairn_kvstore_thrift PROPERTIES CAIRN_DIR api)

function(cairn_thrift_python)
  cmake_parse_arguments(ARG "" "TARGET;IDL;OUT;MODULE" "" ${ARGN})
  file(MAKE_DIRECTORY ${ARG_OUT})
  add_custom_command(
    OUTPUT ${ARG_OUT}/${ARG_MODULE}/ttypes.py
    COMMAND ${CAIRN_THRIFT_COMPILER} --gen py -out ${ARG_OUT} ${ARG_IDL}
    DEPENDS ${ARG_IDL}
    COMMENT "Generating Python from ${ARG_IDL}" VERBATIM)
  add_custom_target(${ARG_TARGET} ALL DEPENDS ${ARG_OUT}/${ARG_MODULE}/ttypes.py)
endfunction()

cairn_thrift_python(TARGET kvstore_thrift_py IDL ${CMAKE_SOURCE_DIR}/api/kvstore.thrift
                    OUT ${CAIRN_GEN_PY} MODULE kvstore)
