reaper_room(operate DEPS base oci conf store groups recorder cgroup node)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_operate PRIVATE -Os) # as node/: what counts is its size
endif()
