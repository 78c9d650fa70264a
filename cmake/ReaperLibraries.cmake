# The third-party libraries, as imported targets reaper::NAME. A static build takes the
# distribution's .a files, so that one binary runs on every distribution of an architecture.

find_package(PkgConfig REQUIRED)

function(reaper_library name pkg archive)
	pkg_check_modules(${name} REQUIRED ${pkg})
	add_library(reaper_ext_${name} INTERFACE)
	target_include_directories(reaper_ext_${name} SYSTEM INTERFACE ${${name}_INCLUDE_DIRS})
	if(REAPER_STATIC)
		find_library(${name}_ARCHIVE NAMES ${archive} HINTS ${${name}_LIBDIR} REQUIRED)
		target_link_libraries(reaper_ext_${name} INTERFACE ${${name}_ARCHIVE})
	else()
		target_link_libraries(reaper_ext_${name} INTERFACE ${${name}_LINK_LIBRARIES})
	endif()
	add_library(reaper::${name} ALIAS reaper_ext_${name})
endfunction()

reaper_library(protobuf_c libprotobuf-c libprotobuf-c.a)
reaper_library(json_c json-c libjson-c.a)
reaper_library(seccomp libseccomp libseccomp.a)
