/* containerd-shim-reaper-v2: one per pod. The command line is containerd's (contract §1.2). */
#include <stdio.h>
#include "base/title.h"
#include "shim/actions.h"

static const char help[] =
	"containerd-shim-reaper-v2: runs the containers of a pod as host processes\n"
	"\n"
	"containerd starts it; these are of use to a person:\n"
	"  -v, -version   print the version\n"
	"  -info          print what the runtime can do (protobuf, for containerd)\n"
	"  -h, -help      this text; each may have two dashes\n"
	"\n"
	"containerd calls it as\n"
	"  containerd-shim-reaper-v2 -namespace NS -id ID -address SOCKET start|delete\n"
	"and finds it through runtime_type = \"io.containerd.reaper.v2\".\n";

int main(int argc, char **argv)
{
	struct shim_options opts;
	struct err err = ERR_INIT;

	title_init(argc, argv);
	if (shim_options_parse(&opts, argc, argv, &err) < 0) {
		(void)fprintf(stderr, "containerd-shim-reaper-v2: %s\n", err.text);
		return 2;
	}
	switch (opts.action) {
	case SHIM_START:
		return action_start(&opts);
	case SHIM_DELETE:
		return action_delete(&opts);
	case SHIM_INFO:
		return action_info();
	case SHIM_VERSION:
		(void)printf("containerd-shim-reaper-v2 %s\n", REAPER_VERSION);
		return 0;
	case SHIM_HELP:
		(void)fputs(help, stdout);
		return 0;
	}
	return 2;
}
