reaper_room(view DEPS base mount mask)
