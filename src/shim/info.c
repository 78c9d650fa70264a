#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "oci/features.h"
#include "proto/google/protobuf/any.pb-c.h"
#include "proto/types.pb-c.h"
#include "shim/actions.h"
#include "shim/bootstrap.h"

#define FEATURES_URL "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

int action_info(void)
{
	Types__RuntimeInfo info = TYPES__RUNTIME_INFO__INIT;
	Types__RuntimeVersion version = TYPES__RUNTIME_VERSION__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT, *options = NULL;
	_cleanup_free_ char *features = NULL, *input = NULL;
	_cleanup_free_ uint8_t *out = NULL;
	struct err err = ERR_INIT;
	size_t features_len = 0, input_len = 0, len;
	int r;

	r = oci_features_write(JSON_COMPACT, &features, &features_len, &err);
	if (r < 0) {
		(void)fprintf(stderr, "containerd-shim-reaper-v2: -info: %s\n", err.text);
		return 1;
	}
	/* the options that containerd gives are echoed; a person at a terminal gives none */
	if (!isatty(STDIN_FILENO) &&
		file_read_fd(STDIN_FILENO, "stdin", BOOTSTRAP_INPUT_MAX, &input, &input_len,
			NULL) == 0 &&
		input_len > 0)
		options = google__protobuf__any__unpack(NULL, input_len, (const uint8_t *)input);
	version.version = (char *)REAPER_VERSION;
	any.type_url = (char *)FEATURES_URL;
	any.value.data = (uint8_t *)features;
	any.value.len = features_len;
	info.name = (char *)"io.containerd.reaper.v2";
	info.version = &version;
	info.features = &any;
	info.options = options;
	out = malloc(types__runtime_info__get_packed_size(&info));
	if (!out)
		return 1;
	len = types__runtime_info__pack(&info, out);
	google__protobuf__any__free_unpacked(options, NULL);
	return file_write_all(STDOUT_FILENO, out, len) < 0 ? 1 : 0;
}
