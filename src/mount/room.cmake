reaper_room(mount DEPS base)
