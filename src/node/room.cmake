reaper_room(node DEPS base mount)
