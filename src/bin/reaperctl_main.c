/* reaperctl: administration of one node. Everything it can do is a row of these tables. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "node/cli.h"
#include "node/toml.h"
#include "node/toml_json.h"

/* The decoder protocol of toml-lang's toml-test: a document on stdin, tagged JSON on stdout, exit
 * status 1 for an invalid document. */
static int toml_decode(const struct cli_args *args)
{
	_cleanup_(toml_doc_freep) struct toml_doc *doc = NULL;
	_cleanup_(buf_done) struct buf json = BUF_INIT(256UL << 20);
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	size_t len;

	(void)args;
	if (file_read_fd(STDIN_FILENO, "stdin", TOML_SIZE_MAX, &text, &len, &err) < 0 ||
		toml_parse("stdin", text, len, 0, &doc, &err) < 0) {
		(void)fprintf(stderr, "reaperctl: %s\n", err.text);
		return 1;
	}
	if (toml_to_json(doc, &json) < 0 || file_write_all(STDOUT_FILENO, json.data, json.len) < 0)
		return 1;
	return 0;
}

static const struct cli_option options[] = {
};

static const struct cli_command commands[] = {
	{NULL, "toml-decode", 0, toml_decode, "speaks toml-test's decoder protocol",
		.hidden = true},
};

int main(int argc, char **argv)
{
	static const struct cli cli = {
		.program = "reaperctl",
		.version = REAPER_VERSION,
		.about = "administration of a node that runs Reaper pods",
		.commands = commands,
		.n_commands = ARRAY_LEN(commands),
		.options = options,
		.n_options = ARRAY_LEN(options),
	};
	static const struct cli_args defaults = {.timeout_s = 60};

	return cli_main(&cli, &defaults, argc, argv);
}
