# Debian packages, by `cpack -G DEB` in the build folder, or scripts/package.sh:
#
#   cairn             the node, the command line, a systemd unit and its configuration
#   libcairn0         libcairn.so.0, the client
#   libcairn-dram0    libcairn-dram.so.0, the memory plane
#   libcairn-dev      headers, CMake package, pkg-config files, interface files
find_program(CAIRN_DPKG_DEB dpkg-deb)
find_program(CAIRN_DPKG_SHLIBDEPS dpkg-shlibdeps)
if(NOT CAIRN_DPKG_DEB OR NOT CAIRN_DPKG_SHLIBDEPS)
  message(STATUS "Debian packages are left out: install dpkg-dev")
  return()
endif()
set(CAIRN_PACKAGES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME cairn)
set(CPACK_PACKAGE_VENDOR "The Cairn maintainers")
set(CPACK_PACKAGE_CONTACT "The Cairn maintainers <maintainers@cairn.example>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own
set(CPACK_STRIP_FILES ON)
# Files go to /usr and /etc below the package's own root.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL cairn libcairn libcairn_dram dev)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
# Depends of the libraries that the programs need, by dpkg-shlibdeps.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# cairn_debian_package(COMPONENT component NAME name SECTION section SUMMARY line TEXT paragraph
#                      [DEPENDS text])
macro(cairn_debian_package)
  cmake_parse_arguments(ARG "" "COMPONENT;NAME;SECTION;SUMMARY;TEXT;DEPENDS" "" ${ARGN})
  string(TOUPPER ${ARG_COMPONENT} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${ARG_NAME})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${ARG_SECTION})
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${ARG_DEPENDS}")
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${ARG_SUMMARY}\n${ARG_TEXT}")
  # What Debian wants of every package.
  install(FILES ${PACKAGING}/debian/copyright ${CMAKE_BINARY_DIR}/package/changelog.gz
                ${CMAKE_BINARY_DIR}/package/changelog.Debian.gz
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${ARG_NAME} COMPONENT ${ARG_COMPONENT})
endmacro()

# -n: without the time, so that the same sources make the same files.
configure_file(${PACKAGING}/debian/changelog.in ${CMAKE_BINARY_DIR}/package/changelog.Debian @ONLY)
configure_file(${CMAKE_SOURCE_DIR}/CHANGELOG.md ${CMAKE_BINARY_DIR}/package/changelog COPYONLY)
foreach(name changelog changelog.Debian)
  execute_process(COMMAND gzip -9nkf ${CMAKE_BINARY_DIR}/package/${name}
                  COMMAND_ERROR_IS_FATAL ANY)
endforeach()

cairn_debian_package(COMPONENT cairn NAME cairn SECTION database DEPENDS "adduser"
  SUMMARY "replicated transactional key-value store"
  TEXT "Cairn keeps keys and values in order, durably, and changes them in
serializable transactions. A node runs by itself or, with others, as a Raft
group. Clients reach it over Thrift and gRPC.
.
This package has the node (cairnd), which runs as a service, and the command
line (cairn).")
cairn_debian_package(COMPONENT libcairn NAME libcairn0 SECTION libs
  SUMMARY "client of the key-value store Cairn, shared library"
  TEXT "The client library for C++ and C: synchronous and asynchronous calls,
transactions that retry conflicts, clusters with failover, over Thrift and
gRPC.")
cairn_debian_package(COMPONENT libcairn_dram NAME libcairn-dram0 SECTION libs
  SUMMARY "memory plane of the key-value store Cairn, shared library"
  TEXT "Values in the memory of many nodes, reached over UCX, for C++ and C.")
cairn_debian_package(COMPONENT dev NAME libcairn-dev SECTION libdevel
  DEPENDS "libcairn0 (= ${PROJECT_VERSION}-1), libcairn-dram0 (= ${PROJECT_VERSION}-1)"
  SUMMARY "client and memory plane of the key-value store Cairn, development files"
  TEXT "Headers for C++17 and C99, a CMake package, pkg-config files, and the
descriptions of the Thrift and gRPC interfaces.")
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)

set(CPACK_DEBIAN_CAIRN_PACKAGE_CONTROL_EXTRA
    ${PACKAGING}/debian/cairn/postinst ${PACKAGING}/debian/cairn/prerm
    ${PACKAGING}/debian/cairn/postrm ${PACKAGING}/debian/cairn/conffiles)
foreach(library LIBCAIRN LIBCAIRN_DRAM)
  set(CPACK_DEBIAN_${library}_PACKAGE_CONTROL_EXTRA ${PACKAGING}/debian/triggers)
endforeach()
include(CPack)
