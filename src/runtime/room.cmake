reaper_room(runtime DEPS base oci conf policy store groups cgroup resources systemd mount view confine)
