/*
 * Calls this project does not make, forced into every file by the build (-include). The headers
 * that declare them come first, then a function-like macro turns each call into a compile error
 * that names the reason.
 */
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* glibc's fortified headers and clang make macros of some of them */
#undef strcpy
#undef strcat
#undef strncpy
#undef sprintf
#undef atoi
#undef atol
#undef strtok
#undef gets
#undef system
#undef popen
#undef dup
#undef pipe
#undef accept
#undef signal
#undef vfork
#undef sleep
#undef usleep
#undef nanosleep
#undef clock_nanosleep

#define BANNED(call, instead) _Static_assert(0, call " is banned here: " instead)

#define strcpy(...)          BANNED("strcpy", "base/str.h or memcpy with a known size")
#define strcat(...)          BANNED("strcat", "str_printf or struct buf")
#define strncpy(...)         BANNED("strncpy", "memcpy with a known size")
#define sprintf(...)         BANNED("sprintf", "snprintf or str_printf")
#define atoi(...)            BANNED("atoi", "base/num.h")
#define atol(...)            BANNED("atol", "base/num.h")
#define strtok(...)          BANNED("strtok", "strv_split")
#define gets(...)            BANNED("gets", "file_read")
#define system(...)          BANNED("system", "base/proc.h")
#define popen(...)           BANNED("popen", "base/proc.h")
#define dup(...)             BANNED("dup", "fcntl F_DUPFD_CLOEXEC")
#define pipe(...)            BANNED("pipe", "pipe2 with O_CLOEXEC")
#define accept(...)          BANNED("accept", "accept4 with SOCK_CLOEXEC")
#define signal(...)          BANNED("signal", "sigaction or a signalfd")
#define vfork(...)           BANNED("vfork", "base/proc.h")
#define sleep(...)           BANNED("sleep", "wait for the event itself")
#define usleep(...)          BANNED("usleep", "wait for the event itself")
#define nanosleep(...)       BANNED("nanosleep", "wait for the event itself")
#define clock_nanosleep(...) BANNED("clock_nanosleep", "wait for the event itself")
