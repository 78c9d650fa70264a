reaper_room(conf DEPS base)
