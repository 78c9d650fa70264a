reaper_room(shim DEPS base event ttrpc proto oci conf store cgroup)
