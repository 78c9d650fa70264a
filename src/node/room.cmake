reaper_room(node DEPS base cli toml)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_node PRIVATE -Os) # administration: what counts is its size
endif()
