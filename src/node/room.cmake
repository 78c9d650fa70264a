reaper_room(node DEPS base conf store cgroup mount toml)
