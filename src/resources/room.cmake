reaper_room(resources DEPS base oci cgroup)
