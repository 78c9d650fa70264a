reaper_room(groups DEPS base oci conf store cgroup view)
