#include "store/group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/sha256.h"
#include "base/str.h"

enum {
	RECORD_VERSION = 1,
	RECORD_MAX = 64 << 10,
	TEXT_MAX = 64 << 10, /* of a key before it is shortened */
};

static const char *const scope_names[_STORE_GROUP_SCOPE_MAX] = {
	[STORE_GROUP_NODE] = STORE_GROUP_NODE_KEY,
	[STORE_GROUP_NAMESPACE] = "namespace",
	[STORE_GROUP_POD] = "pod",
	[STORE_GROUP_SEPARATE] = "separate",
};

const char *store_group_scope_name(enum store_group_scope scope)
{
	return scope_names[scope];
}

void store_group_done(struct store_group *g)
{
	if (!g)
		return;
	free(g->ns);
	free(g->id);
	free(g->name);
	free(g->pod);
	free(g->key);
	free(g->dir);
	free(g->base_dir);
	*g = (struct store_group)STORE_GROUP_INIT;
}

/* ---- the key ---- */

static int append_part(struct buf *b, const char *part)
{
	int r = buf_append_str(b, ".");

	for (const unsigned char *c = (const unsigned char *)part; *c && r == 0; c++) {
		bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			     (*c >= '0' && *c <= '9') || *c == '-';

		r = buf_printf(b, plain ? "%c" : "_%02x", *c);
	}
	return r;
}

int store_group_key(const struct store_group *g, char **ret_key)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(TEXT_MAX);
	char hash[SHA256_HEX_SIZE];
	int r = buf_append_str(&b, scope_names[g->scope]);

	/* how many parts come before the name, the scope says: a part that is missing is no part
	 * that another could be taken for */
	if (r == 0 && g->scope != STORE_GROUP_NODE)
		r = append_part(&b, g->ns ? g->ns : "");
	if (r == 0 && (g->scope == STORE_GROUP_POD || g->scope == STORE_GROUP_SEPARATE))
		r = append_part(&b, g->id ? g->id : "");
	if (r == 0 && g->name)
		r = append_part(&b, g->name);
	if (r < 0)
		return r;
	if (b.len <= STORE_KEY_MAX) {
		*ret_key = TAKE_PTR(b.data);
		return 0;
	}
	/* "_-" is no escape of a part */
	sha256_hex(b.data, b.len, hash);
	return str_printf(ret_key, "%s._-%s", scope_names[g->scope], hash);
}

/* The scope of a key, or -EINVAL. */
static int scope_of_key(const char *key)
{
	size_t len = strcspn(key, ".");

	for (int i = 0; i < _STORE_GROUP_SCOPE_MAX; i++) {
		if (strlen(scope_names[i]) == len && strncmp(scope_names[i], key, len) == 0)
			return i;
	}
	return -EINVAL;
}

bool store_group_is_of_pod(const char *key)
{
	int scope = scope_of_key(key);

	return scope == STORE_GROUP_POD || scope == STORE_GROUP_SEPARATE;
}

bool store_group_is_separate(const char *key)
{
	return scope_of_key(key) == STORE_GROUP_SEPARATE;
}

/* ---- its places ---- */

static int place_key(const struct store_layout *layout, struct store_group *g, struct err *err)
{
	int r = str_printf(&g->dir, "%s/%s", layout->groups, g->key);

	if (r == 0 && str_eq(g->key, STORE_GROUP_NODE_KEY))
		r = str_dup(&g->base_dir, layout->overlay);
	else if (r == 0)
		r = str_printf(&g->base_dir, "%s/overlay", g->dir);
	return r < 0 ? err_sysf(err, -r, "group %s", g->key) : 0;
}

int store_group_place(const struct store_layout *layout, struct store_group *g, struct err *err)
{
	int r = store_group_key(g, &g->key);

	return r < 0 ? err_sysf(err, -r, "group's key") : place_key(layout, g, err);
}

/* ---- the record ---- */

int store_group_record(int groups_fd, const struct store_group *g, struct err *err)
{
	_cleanup_(json_object_freep) struct json_object *o = NULL;
	_cleanup_close_ int dir =
		openat(groups_fd, g->key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r;

	if (dir < 0)
		return err_sysf(err, errno, "%s", g->dir);
	if (faccessat(dir, STORE_GROUP_RECORD, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	o = json_new_object();
	r = json_put_u64(o, "version", RECORD_VERSION);
	r |= json_put_str(o, "key", g->key);
	r |= json_put_str(o, "scope", scope_names[g->scope]);
	r |= json_put_str(o, "namespace", g->ns);
	r |= json_put_str(o, "id", g->id);
	r |= json_put_str(o, "name", g->name);
	r |= json_put_str(o, "pod", g->pod);
	r |= json_put_str(o, "base", g->base_dir);
	if (r < 0 || json_write(o, JSON_PRETTY, &text, &len) < 0)
		return err_sysf(err, ENOMEM, "%s/" STORE_GROUP_RECORD, g->dir);
	r = file_replace_at(dir, STORE_GROUP_RECORD, text, len, 0600, err);
	return r < 0 ? err_wrapf(err, "%s", g->dir) : 0;
}

/* Best effort: what cannot be read is left out. */
static void read_record(struct store_group *g)
{
	_cleanup_free_ char *path = NULL, *text = NULL, *base = NULL;
	_cleanup_json_ struct json_ref root = {.value = NULL};
	size_t len = 0;

	if (str_printf(&path, "%s/" STORE_GROUP_RECORD, g->dir) < 0 ||
		file_read_at(AT_FDCWD, path, RECORD_MAX, &text, &len, NULL) < 0 ||
		json_parse(text, len, STORE_GROUP_RECORD, &root, NULL) < 0)
		return;
	(void)json_get_str(&root, "namespace", &g->ns, NULL);
	(void)json_get_str(&root, "id", &g->id, NULL);
	(void)json_get_str(&root, "name", &g->name, NULL);
	(void)json_get_str(&root, "pod", &g->pod, NULL);
	/* the setting may have been another one when the group was made */
	if (json_get_str(&root, "base", &base, NULL) > 0 && base[0] == '/') {
		free(g->base_dir);
		g->base_dir = TAKE_PTR(base);
	}
}

int store_group_load(const struct store_layout *layout, const char *key,
	struct store_group *ret_group, struct err *err)
{
	struct store_group g = STORE_GROUP_INIT;
	_cleanup_free_ char *path = NULL;
	int r = store_ns_path(layout, key, &path, err), scope;

	if (r < 0)
		return r;
	scope = scope_of_key(key);
	g.scope = scope < 0 ? STORE_GROUP_NODE : (enum store_group_scope)scope;
	r = str_dup(&g.key, key);
	r = r < 0 ? err_sysf(err, -r, "group %s", key) : place_key(layout, &g, err);
	if (r < 0) {
		store_group_done(&g);
		return r;
	}
	read_record(&g);
	*ret_group = g;
	return 0;
}

/* ---- the list ---- */

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_entries(const char *path, char ***keys, struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir)
		return errno == ENOENT ? 0 : err_sysf(err, errno, "%s", path);
	while ((e = readdir(dir))) {
		if (e->d_name[0] != '.' && !strv_has(*keys, e->d_name) &&
			strv_append(keys, e->d_name) < 0)
			return err_sysf(err, ENOMEM, "%s", path);
	}
	return 0;
}

int store_groups_list(const struct store_layout *layout, char ***ret_keys, struct err *err)
{
	_cleanup_strv_ char **keys = NULL;
	int r = add_entries(layout->groups, &keys, err);

	if (r == 0)
		r = add_entries(layout->ns, &keys, err);
	/* its making may have been interrupted before there was anything else */
	if (r == 0 && access(layout->upper, F_OK) == 0 && !strv_has(keys, STORE_GROUP_NODE_KEY) &&
		strv_append(&keys, STORE_GROUP_NODE_KEY) < 0)
		r = err_sysf(err, ENOMEM, "%s", layout->upper);
	if (r < 0)
		return r;
	if (keys)
		qsort(keys, strv_len(keys), sizeof(*keys), compare);
	*ret_keys = TAKE_PTR(keys);
	return 0;
}
