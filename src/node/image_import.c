#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "node/daemon.h"
#include "node/image.h"

static int print(const struct cli_args *args, const char *result, const char *message)
{
	_cleanup_(json_object_freep) struct json_object *o = NULL;

	if (!args->json) {
		(void)printf("reaperctl: %s\n", message);
		return 0;
	}
	o = json_new_object();
	if (json_put_str(o, "result", result) < 0 || json_put_str(o, "image", IMAGE_NAME) < 0 ||
		json_put_str(o, "message", message) < 0)
		return 1;
	return cli_print_json(o);
}

int image_import_command(const struct cli_args *args)
{
	_cleanup_(daemon_done) struct daemon d = DAEMON_INIT;
	struct err err = ERR_INIT;
	bool changed;

	/* which containerd decides which ctr; a node without one is an error of ctr then */
	(void)daemon_resolve(args, &d, &err);
	if (image_ensure(d.program, args->address ? args->address : DAEMON_ADDRESS_DEFAULT,
		    args->containerd_namespace ? args->containerd_namespace : "k8s.io",
		    args->timeout_s, &changed, &err) < 0) {
		(void)fprintf(stderr, "reaperctl: image import: %s\n", err.text);
		return 1;
	}
	return print(args, changed ? "changed" : "unchanged",
		changed ? "the image " IMAGE_NAME " was imported"
			: "the image " IMAGE_NAME " is there already");
}
