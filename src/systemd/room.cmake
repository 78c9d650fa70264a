reaper_room(systemd DEPS base cgroup)
