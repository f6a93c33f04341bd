# cpp-httplib, as its package has it: a shared library and a header that must agree on what it was
# built with. Included by src/server/http alone.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CPP_HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
add_library(cairn_httplib INTERFACE)
target_link_libraries(cairn_httplib INTERFACE PkgConfig::CPP_HTTPLIB)
