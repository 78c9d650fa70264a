reaper_room(doctor DEPS base conf policy store groups cgroup mount view confine cli node merge uppers)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_doctor PRIVATE -Os) # administration: what counts is its size
endif()
