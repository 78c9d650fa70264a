reaper_room(oci DEPS base)
