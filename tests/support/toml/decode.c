/*
 * toml-decode: the decoder protocol of toml-lang's toml-test. A document on standard input, tagged
 * JSON on standard output; exit status 1 and one line on standard error for an invalid document.
 * With --lenient as the reader takes files of containerd 1.x; with --time the least microseconds of
 * twenty readings instead of the JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "support/toml/json.h"
#include "toml/toml.h"

static void print_time(const char *text, size_t len)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		_cleanup_(toml_doc_freep) struct toml_doc *doc = NULL;
		uint64_t begin = clock_boot_usec(), took;

		(void)toml_parse("stdin", text, len, 0, &doc, NULL);
		took = clock_boot_usec() - begin;
		least = took < least ? took : least;
	}
	(void)printf("%" PRIu64 "\n", least);
}

int main(int argc, char **argv)
{
	_cleanup_(toml_doc_freep) struct toml_doc *doc = NULL;
	_cleanup_(buf_done) struct buf json = BUF_INIT(256UL << 20);
	_cleanup_free_ char *text = NULL;
	unsigned flags = argc > 1 && strcmp(argv[1], "--lenient") == 0 ? TOML_LENIENT : 0;
	struct err err = ERR_INIT;
	size_t len;

	if (file_read_fd(STDIN_FILENO, "stdin", TOML_SIZE_MAX, &text, &len, &err) < 0 ||
		toml_parse("stdin", text, len, flags, &doc, &err) < 0) {
		(void)fprintf(stderr, "toml-decode: %s\n", err.text);
		return 1;
	}
	if (argc > 1 && strcmp(argv[1], "--time") == 0) {
		print_time(text, len);
		return 0;
	}
	if (toml_to_json(doc, &json) < 0 || file_write_all(STDOUT_FILENO, json.data, json.len) < 0)
		return 1;
	return 0;
}
