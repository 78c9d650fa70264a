# reaper_room(NAME DEPS room… LIBS library…): one folder of src/ is one static library. DEPS are
# the rooms it may include: the same list that ci/check-layers reads from docs/ARCHITECTURE.md's
# table, enforced here once more by what is linked.
function(reaper_room name)
	cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
	file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.c")
	add_library(room_${name} STATIC ${sources})
	target_include_directories(room_${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
	target_compile_options(room_${name} PRIVATE ${REAPER_WARNINGS}
		-include "${CMAKE_SOURCE_DIR}/src/base/banned.h")
	foreach(dep ${ARG_DEPS})
		target_link_libraries(room_${name} PUBLIC room_${dep})
	endforeach()
	target_link_libraries(room_${name} PUBLIC ${ARG_LIBS})
endfunction()

# reaper_program(NAME MAIN rooms…): one program of ours, static-pie unless -DREAPER_STATIC=OFF.
# It lies in the top of the build directory under its installed name.
function(reaper_program name main)
	add_executable(${name} ${main})
	target_compile_options(${name} PRIVATE ${REAPER_WARNINGS}
		-include "${CMAKE_SOURCE_DIR}/src/base/banned.h")
	foreach(room ${ARGN})
		target_link_libraries(${name} PRIVATE room_${room})
	endforeach()
	if(REAPER_STATIC)
		target_link_options(${name} PRIVATE -static-pie)
	else()
		target_link_options(${name} PRIVATE -pie)
	endif()
	set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
	install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
