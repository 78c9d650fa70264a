reaper_room(policy DEPS base oci conf confine)
