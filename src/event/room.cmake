reaper_room(event DEPS base)
