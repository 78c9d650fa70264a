reaper_room(uppers DEPS base conf store groups view cli node)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_uppers PRIVATE -Os) # administration: what counts is its size
endif()
