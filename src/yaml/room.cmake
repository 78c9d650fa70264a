reaper_room(yaml DEPS base LIBS reaper::json_c)
# only reaperctl links it: see cli/room.cmake
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_yaml PRIVATE -Os)
endif()
