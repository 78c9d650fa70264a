reaper_room(store DEPS base)
