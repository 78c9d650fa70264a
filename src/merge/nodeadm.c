#include "merge/nodeadm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "merge/plan_impl.h"
#include "node/root.h"

#define MARK "# reaper format=1 sha256="

enum { TEXT_MAX = 64 << 10 };

static int file_name(const char *handler, char **ret)
{
	bool usual = str_eq(handler, STANZA_HANDLER);

	return str_printf(ret, "50-reaper%s%s.yaml", usual ? "" : "-", usual ? "" : handler);
}

/* The lines of the runtime's table, each with YAML's indentation in front. */
static int put_table(const struct plan *p, struct buf *out)
{
	_cleanup_(buf_done) struct buf block = BUF_INIT(TEXT_MAX);
	bool three = p->version >= 3;
	struct stanza_spec spec = {
		.handler = p->handler,
		.sandbox = three                                  ? STANZA_SANDBOXER
			   : daemon_at_least(&p->daemon, 1, 7, 0) ? STANZA_SANDBOX_MODE
								  : STANZA_SANDBOX_NONE,
		.plugin = three ? CRI_ID_V3 : CRI_ID_V2,
		.version = p->version,
		.eol = "\n",
	};
	_cleanup_strv_ char **lines = NULL;
	int r = stanza_write(&spec, &block);

	if (r == 0)
		r = strv_split(&lines, block.data, "\n");
	for (char **l = lines; r == 0 && l && *l; l++) {
		if (**l != '#') /* the markers mean nothing in a text that is rendered */
			r = buf_printf(out, "      %s\n", *l);
	}
	return r;
}

static int write_text(const struct plan *p, struct buf *out)
{
	_cleanup_(buf_done) struct buf body = BUF_INIT(TEXT_MAX);
	char hash[SHA256_HEX_SIZE];
	int r = buf_append_str(&body, "apiVersion: node.eks.aws/v1alpha1\n"
				      "kind: NodeConfig\n"
				      "spec:\n"
				      "  containerd:\n"
				      "    config: |\n");

	if (r == 0)
		r = put_table(p, &body);
	if (r < 0)
		return r;
	sha256_hex(body.data, body.len, hash);
	return buf_printf(out,
		MARK
		"%s (made by reaperctl, do not edit; \"reaperctl containerd undo\" removes it)\n%s",
		hash, body.data);
}

/* Half-written files of a run that was killed: ".NAME.HEX", as file_replace_at calls them. */
static void sweep(int dir, const char *name)
{
	_cleanup_closedir_ DIR *d = fdopendir(fcntl(dir, F_DUPFD_CLOEXEC, 0));
	size_t len = strlen(name);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' && strncmp(e->d_name + 1, name, len) == 0 &&
			e->d_name[len + 1] == '.')
			(void)unlinkat(dir, e->d_name, 0);
	}
}

/* The bytes of the file, NULL if there is none. */
static char *read_file(int dir, const char *name, size_t *ret_len)
{
	char *text = NULL;

	return file_read_at(dir, name, TEXT_MAX, &text, ret_len, NULL) < 0 ? NULL : text;
}

void nodeadm_write(const struct plan *p, struct report *rep)
{
	_cleanup_close_ int dir = root_open(p->daemon.root, NODEADM_DIR, O_RDONLY | O_DIRECTORY);
	_cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
	_cleanup_free_ char *name = NULL, *old = NULL;
	struct err err = ERR_INIT;
	size_t len = 0;

	if (dir < 0 || p->version < 2)
		return;
	if (file_name(p->handler, &name) < 0 || write_text(p, &text) < 0) {
		report_note(rep, "%s: out of memory", NODEADM_DIR);
		return;
	}
	sweep(dir, name);
	old = read_file(dir, name, &len);
	if (old && len == text.len && memcmp(old, text.data, len) == 0)
		return;
	if (file_replace_at(dir, name, text.data, text.len, 0644, &err) < 0)
		report_warn(rep,
			"%s/%s could not be written, so that the runtime is gone with the "
			"next boot: %s",
			NODEADM_DIR, name, err.text);
	else
		report_note(rep,
			"%s/%s makes the runtime last: nodeadm renders containerd's "
			"configuration from it at every boot",
			NODEADM_DIR, name);
}

/* Whether the text is what write_text makes, and nobody's edit. */
static bool is_intact(const char *text)
{
	const char *body = strchr(text, '\n');
	char hash[SHA256_HEX_SIZE];

	if (!body || !str_has_prefix(text, MARK))
		return false;
	sha256_hex(body + 1, strlen(body + 1), hash);
	return str_has_prefix(text + strlen(MARK), hash);
}

void nodeadm_remove(const char *root, const char *handler, struct report *rep)
{
	_cleanup_close_ int dir = root_open(root, NODEADM_DIR, O_RDONLY | O_DIRECTORY);
	_cleanup_free_ char *name = NULL, *text = NULL;
	size_t len;

	if (dir < 0 || file_name(handler, &name) < 0)
		return;
	sweep(dir, name);
	text = read_file(dir, name, &len);
	if (!text)
		return;
	if (!is_intact(text))
		report_note(rep,
			"%s/%s was edited and is left; without it the next boot would not "
			"bring the runtime back",
			NODEADM_DIR, name);
	else if (unlinkat(dir, name, 0) < 0)
		report_note(rep, "%s/%s: %s", NODEADM_DIR, name, strerrordesc_np(errno));
	else
		report_note(rep, "%s/%s was removed", NODEADM_DIR, name);
}
