reaper_room(mask DEPS base mount)
