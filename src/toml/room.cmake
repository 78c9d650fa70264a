reaper_room(toml DEPS base)
# only reaperctl links it: see cli/room.cmake
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_toml PRIVATE -Os)
endif()
