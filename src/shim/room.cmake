reaper_room(shim DEPS base event stream ttrpc proto oci conf store groups recorder cgroup resources stats systemd sandbox)
