reaper_room(operate DEPS base event oci conf store groups cgroup node)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_operate PRIVATE -Os) # as node/: what counts is its size
endif()
