reaper_room(package DEPS base conf view cli merge uppers)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	target_compile_options(room_package PRIVATE -Os) # administration: what counts is its size
endif()
