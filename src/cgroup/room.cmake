reaper_room(cgroup DEPS base)
