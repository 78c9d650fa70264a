reaper_room(shim DEPS base event stream ttrpc proto oci conf store cgroup resources systemd sandbox)
