reaper_room(operate DEPS base oci conf policy confine store groups recorder cgroup view cli yaml)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_operate PRIVATE -Os) # administration: what counts is its size
endif()
