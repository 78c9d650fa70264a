reaper_room(runtime DEPS base oci conf store cgroup resources systemd mount confine)
