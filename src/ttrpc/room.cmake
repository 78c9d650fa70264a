reaper_room(ttrpc DEPS base event proto)
