reaper_room(shim DEPS base event stream ttrpc proto oci conf store groups cgroup resources stats systemd sandbox)
