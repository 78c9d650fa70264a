reaper_room(node DEPS base conf store groups cgroup mount toml)
