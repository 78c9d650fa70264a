reaper_room(node DEPS base conf store mount toml)
