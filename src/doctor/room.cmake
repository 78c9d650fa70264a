reaper_room(doctor DEPS base conf cgroup confine cli merge uppers)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_doctor PRIVATE -Os) # administration: what counts is its size
endif()
