reaper_room(sandbox DEPS base proto oci conf cgroup systemd)
