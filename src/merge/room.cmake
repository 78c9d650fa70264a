reaper_room(merge DEPS base toml view cli node)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_merge PRIVATE -Os) # administration: what counts is its size
endif()
