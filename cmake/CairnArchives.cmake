# The node and the command line are linked with Debian's archives (lib*.a) of the large libraries that
# they use a part of, instead of with the shared objects: docs/adr/0022-archives.md says why. Test
# programs and the small tools keep the shared objects; so do builds under a sanitizer.
#
# cairn_use_archives(program)    links the program with the archives
# CAIRN_EXT_<name>               the links of an outside library, which are the archives in such a
#                                program and the shared object in any other
#
# -DCAIRN_ARCHIVES=OFF links everything with the shared objects.
set(archives_default ON)
if(CAIRN_SANITIZE)
  set(archives_default OFF)
endif()
option(CAIRN_ARCHIVES "Link the programs with archives of RocksDB, gRPC, protobuf, Abseil and Thrift"
       ${archives_default})

# What the archives consist of, theirs included. TLS is not among them: Debian mends it alone.
set(archive_names thrift grpc++_reflection grpc++ grpc gpr upb address_sorting cares re2 protobuf
    rocksdb snappy lz4 zstd bz2)
if(CAIRN_ARCHIVES)
  set(archives)
  foreach(name ${archive_names})
    find_library(CAIRN_ARCHIVE_${name} lib${name}.a NO_CACHE)
    if(NOT CAIRN_ARCHIVE_${name})
      message(FATAL_ERROR "There is no lib${name}.a; scripts/setup.sh installs it, or configure "
                          "with -DCAIRN_ARCHIVES=OFF to link with shared libraries")
    endif()
    list(APPEND archives ${CAIRN_ARCHIVE_${name}})
  endforeach()
  get_filename_component(archive_folder ${CAIRN_ARCHIVE_protobuf} DIRECTORY)
  file(GLOB abseil ${archive_folder}/libabsl_*.a)
  list(FILTER abseil EXCLUDE REGEX "libabsl_(flags|failure_signal|periodic)")
  add_library(cairn_archives INTERFACE)
  # They need each other in circles.
  list(JOIN archives "," grouped)
  list(JOIN abseil "," grouped_abseil)
  target_link_libraries(cairn_archives INTERFACE
      "$<LINK_GROUP:RESCAN,${grouped},${grouped_abseil}>" gflags ssl crypto z Threads::Threads)
endif()

# Sets CAIRN_EXT_<name> to `links`, or to the archives in programs that use them.
function(cairn_external name)
  set(links)
  foreach(link ${ARGN})
    if(CAIRN_ARCHIVES)
      set(link $<IF:$<BOOL:$<TARGET_PROPERTY:CAIRN_USES_ARCHIVES>>,cairn_archives,${link}>)
    endif()
    list(APPEND links ${link})
  endforeach()
  set(CAIRN_EXT_${name} ${links} PARENT_SCOPE)
endfunction()

cairn_external(absl absl::flat_hash_map absl::flat_hash_set absl::btree absl::any_invocable
               absl::strings absl::span absl::cleanup absl::inlined_vector absl::random_random)
cairn_external(absl_synchronization absl::synchronization)
cairn_external(rocksdb rocksdb)
cairn_external(thrift thrift)
cairn_external(grpcpp grpc++ gpr)
cairn_external(grpcpp_reflection grpc++_reflection)
cairn_external(google protobuf)

function(cairn_use_archives program)
  if(NOT CAIRN_ARCHIVES)
    return()
  endif()
  set_target_properties(${program} PROPERTIES CAIRN_USES_ARCHIVES ON)
  target_link_options(${program} PRIVATE -Wl,--gc-sections)
endfunction()
