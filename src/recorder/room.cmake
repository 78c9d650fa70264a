reaper_room(recorder DEPS base oci conf)
