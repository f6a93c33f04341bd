# `ninja docs`: the reference of the public headers, in docs/html of the build folder.
find_program(CAIRN_DOXYGEN doxygen)
if(NOT CAIRN_DOXYGEN)
  message(STATUS "The target docs is left out: install doxygen")
  return()
endif()
configure_file(${CMAKE_SOURCE_DIR}/docs/doxygen/Doxyfile.in ${CMAKE_BINARY_DIR}/docs/Doxyfile @ONLY)
add_custom_target(docs COMMAND ${CAIRN_DOXYGEN} ${CMAKE_BINARY_DIR}/docs/Doxyfile
                  COMMENT "Making the reference of the public headers" VERBATIM)
