reaper_room(stream DEPS base event)
