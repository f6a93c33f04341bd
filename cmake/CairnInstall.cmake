# What `cmake --install` installs: the programs, their manual pages and completion files, the
# interface files, and for applications the shared libraries, the public headers, a CMake package
# and pkg-config files:
#
#   libcairn.so.0        the client (cairn/client.h, cairn/transaction.h, cairn/c.h)
#                        cairn::cairn, cairn.pc
#   libcairn-dram.so.0   the memory plane (cairn/remote_dram.h, cairn/c.h)
#                        cairn::dram, cairn-dram.pc
#
# They are two so that a program which only wants the client does not load UCX, which hooks itself
# into memory allocation, and one which only wants the memory plane does not load gRPC, Thrift and
# protobuf.
#
# A shared library exports what its map file names and nothing else; tests/install checks it.
#
# Not in sanitizer builds: what they install could not be used by a program without the sanitizer.
if(NOT CAIRN_SERVERS OR CAIRN_SANITIZE)
  return()
endif()
# Debian's folder for libraries, whatever the prefix: its linker, CMake and pkg-config look there
# below /usr and /usr/local, and one build folder serves installation and packages.
if(NOT DEFINED CMAKE_INSTALL_LIBDIR AND CMAKE_LIBRARY_ARCHITECTURE)
  set(CMAKE_INSTALL_LIBDIR lib/${CMAKE_LIBRARY_ARCHITECTURE} CACHE PATH "Folder of libraries")
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(PACKAGING ${CMAKE_SOURCE_DIR}/packaging)
set(CAIRN_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/cairn)

# cairn_shared_library(NAME name EXPORT_NAME name COMPONENT component LIBRARIES library...)
#   lib<name>.so of all objects of the libraries given, and of whatever else they need. Its exports
#   are in packaging/lib<name>.map.
function(cairn_shared_library)
  cmake_parse_arguments(ARG "" "NAME;EXPORT_NAME;COMPONENT;DESCRIPTION" "LIBRARIES" ${ARGN})
  set(target ${ARG_NAME}_shared)
  set(map ${PACKAGING}/lib${ARG_NAME}.map)
  add_library(${target} SHARED)
  foreach(library ${ARG_LIBRARIES})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:cairn_${library}>)
    target_link_libraries(${target} PRIVATE cairn_${library})
  endforeach()
  # As needed: the static libraries name more shared ones than the objects taken from them use.
  target_link_options(${target} PRIVATE -Wl,--version-script=${map} -Wl,--no-undefined
                      -Wl,--as-needed)
  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${ARG_NAME} EXPORT_NAME ${ARG_EXPORT_NAME}
                        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                        LINKER_LANGUAGE CXX LINK_DEPENDS ${map}
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  install(TARGETS ${target} EXPORT ${ARG_NAME}
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${ARG_COMPONENT}
          NAMELINK_COMPONENT dev)
  install(EXPORT ${ARG_NAME} NAMESPACE cairn:: FILE ${ARG_NAME}-targets.cmake
          DESTINATION ${CAIRN_CMAKE_DIR} COMPONENT dev)
  # The prefix relative to the file itself, so that an installation can be moved.
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  set(CAIRN_PC_PREFIX "\${pcfiledir}/${up}")
  set(CAIRN_PC_NAME ${ARG_NAME})
  set(CAIRN_PC_DESCRIPTION ${ARG_DESCRIPTION})
  configure_file(${PACKAGING}/cairn.pc.in ${CMAKE_BINARY_DIR}/package/${ARG_NAME}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/package/${ARG_NAME}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endfunction()

cairn_shared_library(NAME cairn EXPORT_NAME cairn COMPONENT libcairn
                     DESCRIPTION "Client of Cairn, a replicated transactional key-value store"
                     LIBRARIES c_api client client_c client_library)
cairn_shared_library(NAME cairn-dram EXPORT_NAME dram COMPONENT libcairn_dram
                     DESCRIPTION "Cairn's memory plane: values in the memory of many nodes"
                     LIBRARIES c_api remote_dram)

file(GLOB CAIRN_PUBLIC_HEADERS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/cairn/*.h)
install(FILES ${CAIRN_PUBLIC_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cairn COMPONENT dev)
configure_package_config_file(${PACKAGING}/cairn-config.cmake.in
                              ${CMAKE_BINARY_DIR}/package/cairn-config.cmake
                              INSTALL_DESTINATION ${CAIRN_CMAKE_DIR}
                              NO_SET_AND_CHECK_MACRO)
# Until 1.0 a minor version may change what is promised.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/cairn-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/cairn-config.cmake
              ${CMAKE_BINARY_DIR}/package/cairn-config-version.cmake
        DESTINATION ${CAIRN_CMAKE_DIR} COMPONENT dev)
# For clients of one's own, over either wire.
install(FILES api/cairn.proto api/kvstore.proto api/kvstore.thrift
        DESTINATION ${CMAKE_INSTALL_DATADIR}/cairn/api COMPONENT dev)

install(TARGETS cairnd cairn RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT cairn)
configure_file(${PACKAGING}/install_node.cmake.in ${CMAKE_BINARY_DIR}/package/install_node.cmake
               @ONLY)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/cairn COMPONENT cairn
        PATTERN doxygen EXCLUDE)
# The folder's slash: its content.
install(DIRECTORY ${CMAKE_BINARY_DIR}/share/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}
        COMPONENT cairn)
install(FILES ${PACKAGING}/cairnd.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT cairn)
set(COMPLETION ${CMAKE_BINARY_DIR}/share/completion)
install(FILES ${COMPLETION}/cairn.bash COMPONENT cairn RENAME cairn
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${COMPLETION}/_cairn COMPONENT cairn
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${COMPLETION}/cairn.fish COMPONENT cairn
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
# After the files above, some of which it changes.
install(SCRIPT ${CMAKE_BINARY_DIR}/package/install_node.cmake COMPONENT cairn)
include(CairnPackages)
