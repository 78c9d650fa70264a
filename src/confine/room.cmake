reaper_room(confine DEPS base LIBS reaper::seccomp)
