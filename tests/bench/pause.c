/* The peers' pause image: a program that waits to be ended. (Reaper runs none.) */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void leave(int sig)
{
	(void)sig;
	_exit(0);
}

int main(void)
{
	(void)signal(SIGTERM, leave);
	(void)signal(SIGINT, leave);
	for (;;)
		(void)pause();
}
