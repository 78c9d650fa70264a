reaper_room(toml DEPS base)
