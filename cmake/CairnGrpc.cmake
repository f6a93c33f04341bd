# Code from api/cairn.proto and api/kvstore.proto, made at build time:
#   C++ into build/gen-grpc/api, as the libraries `cairn_api` (messages alone), `cairn_grpc` and
#     `kvstore_grpc` (messages and services; names for DEPS); users include "api/cairn.pb.h",
#     "api/cairn.grpc.pb.h" and "api/kvstore.grpc.pb.h"
#   Python into build/gen-py (target cairn_grpc_py), modules `cairn_pb2`, `cairn_pb2_grpc`,
#     `kvstore_pb2` and `kvstore_pb2_grpc`
#
# gRPC's headers are heavy: a file that includes one takes seconds to compile. Keep them out of
# headers, and the files that need them few. (A precompiled header would help less than ccache does,
# which can't cache what uses one.)
find_program(CAIRN_PROTOC protoc REQUIRED)
find_program(CAIRN_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
find_program(CAIRN_GRPC_PYTHON_PLUGIN grpc_python_plugin REQUIRED)

set(CAIRN_GEN_GRPC ${CMAKE_BINARY_DIR}/gen-grpc)
set(CAIRN_GEN_PY ${CMAKE_BINARY_DIR}/gen-py)
file(MAKE_DIRECTORY ${CAIRN_GEN_GRPC} ${CAIRN_GEN_PY})

foreach(name cairn kvstore)
  set(base ${CAIRN_GEN_GRPC}/api/${name})
  add_custom_command(
    OUTPUT ${base}.pb.cc ${base}.pb.h ${base}.grpc.pb.cc ${base}.grpc.pb.h
    COMMAND ${CAIRN_PROTOC} --plugin=protoc-gen-grpc=${CAIRN_GRPC_PLUGIN}
            --cpp_out=${CAIRN_GEN_GRPC} --grpc_out=${CAIRN_GEN_GRPC} -I${CMAKE_SOURCE_DIR}
            api/${name}.proto
    DEPENDS ${CMAKE_SOURCE_DIR}/api/${name}.proto
    COMMENT "Generating C++ from api/${name}.proto" VERBATIM)
  # Python imports by module name: there the file's own folder is the root.
  add_custom_command(
    OUTPUT ${CAIRN_GEN_PY}/${name}_pb2.py ${CAIRN_GEN_PY}/${name}_pb2_grpc.py
    COMMAND ${CAIRN_PROTOC} --plugin=protoc-gen-grpc_python=${CAIRN_GRPC_PYTHON_PLUGIN}
            --python_out=${CAIRN_GEN_PY} --grpc_python_out=${CAIRN_GEN_PY}
            -I${CMAKE_SOURCE_DIR}/api ${name}.proto
    DEPENDS ${CMAKE_SOURCE_DIR}/api/${name}.proto
    COMMENT "Generating Python from api/${name}.proto" VERBATIM)
  list(APPEND grpc_python ${CAIRN_GEN_PY}/${name}_pb2.py ${CAIRN_GEN_PY}/${name}_pb2_grpc.py)
endforeach()
add_custom_target(cairn_grpc_py ALL DEPENDS ${grpc_python})

# TensorStore's protocol: C++ alone; its clients bring their own code.
foreach(name tensorstore tensorstore_kvstore)
  set(base ${CAIRN_GEN_GRPC}/api/${name})
  add_custom_command(
    OUTPUT ${base}.pb.cc ${base}.pb.h ${base}.grpc.pb.cc ${base}.grpc.pb.h
    COMMAND ${CAIRN_PROTOC} --plugin=protoc-gen-grpc=${CAIRN_GRPC_PLUGIN}
            --cpp_out=${CAIRN_GEN_GRPC} --grpc_out=${CAIRN_GEN_GRPC} -I${CMAKE_SOURCE_DIR}
            api/${name}.proto
    DEPENDS ${CMAKE_SOURCE_DIR}/api/tensorstore.proto ${CMAKE_SOURCE_DIR}/api/${name}.proto
    COMMENT "Generating C++ from api/${name}.proto" VERBATIM)
  list(APPEND tensorstore_sources ${base}.pb.cc)
endforeach()

# cairn_generated(NAME name SRCS file... LINKS target...): a library of generated code, which is not
# held to our warnings.
function(cairn_generated)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;LINKS" ${ARGN})
  add_library(cairn_${ARG_NAME} STATIC ${ARG_SRCS})
  target_compile_options(cairn_${ARG_NAME} PRIVATE -w)
  target_include_directories(cairn_${ARG_NAME} SYSTEM PUBLIC ${CAIRN_GEN_GRPC})
  target_link_libraries(cairn_${ARG_NAME} PUBLIC ${ARG_LINKS})
  set_target_properties(cairn_${ARG_NAME} PROPERTIES CAIRN_DIR api)
endfunction()

cairn_generated(NAME cairn_api SRCS ${CAIRN_GEN_GRPC}/api/cairn.pb.cc LINKS ${CAIRN_EXT_google})
cairn_generated(NAME cairn_grpc SRCS ${CAIRN_GEN_GRPC}/api/cairn.grpc.pb.cc
                LINKS cairn_cairn_api ${CAIRN_EXT_grpcpp} ${CAIRN_EXT_absl_synchronization})
cairn_generated(NAME kvstore_grpc
                SRCS ${CAIRN_GEN_GRPC}/api/kvstore.pb.cc ${CAIRN_GEN_GRPC}/api/kvstore.grpc.pb.cc
                LINKS ${CAIRN_EXT_google} ${CAIRN_EXT_grpcpp} ${CAIRN_EXT_absl_synchronization})
cairn_generated(NAME tensorstore_grpc
                SRCS ${tensorstore_sources} ${CAIRN_GEN_GRPC}/api/tensorstore_kvstore.grpc.pb.cc
                LINKS ${CAIRN_EXT_google} ${CAIRN_EXT_grpcpp} ${CAIRN_EXT_absl_synchronization})
