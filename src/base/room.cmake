reaper_room(base LIBS reaper::json_c)
