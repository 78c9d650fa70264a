reaper_room(runtime DEPS base oci conf store groups cgroup resources systemd mount view confine)
