reaper_room(stats DEPS base cgroup)
