/* What ps(1) shows of a process that forked and did not exec. */
#pragma once

/*
 * Remembers where the arguments of this program lie; to be called first thing in main. Without it
 * title_set does nothing.
 */
void title_init(int argc, char **argv);

/*
 * Writes `title` over the program's arguments, cut to their length. Everything that still points
 * into argv is overwritten, so only a child that does not use them may call it. Async-signal-safe.
 */
void title_set(const char *title);
