#include "store/group.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"

static char *key_of(enum store_group_scope scope, const char *ns, const char *id, const char *name)
{
	const struct store_group g = {
		.scope = scope, .ns = (char *)ns, .id = (char *)id, .name = (char *)name};
	char *key = NULL;

	cr_assert_eq(store_group_key(&g, &key), 0);
	return key;
}

Test(store_group, keys_are_what_people_expect_to_read)
{
	static const struct {
		enum store_group_scope scope;
		const char *ns, *id, *name, *key;
	} table[] = {
		{STORE_GROUP_NODE, NULL, NULL, NULL, "node"},
		{STORE_GROUP_NODE, NULL, NULL, "build", "node.build"},
		{STORE_GROUP_NODE, NULL, NULL, "../x y", "node._2e_2e_2fx_20y"},
		{STORE_GROUP_NAMESPACE, "kube-system", NULL, NULL, "namespace.kube-system"},
		{STORE_GROUP_NAMESPACE, "a", NULL, "b", "namespace.a.b"},
		{STORE_GROUP_NAMESPACE, "a.b", NULL, NULL, "namespace.a_2eb"},
		{STORE_GROUP_POD, "k8s.io", "0f3c", NULL, "pod.k8s_2eio.0f3c"},
		{STORE_GROUP_SEPARATE, "k8s.io", "0f3c", NULL, "separate.k8s_2eio.0f3c"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		_cleanup_free_ char *key =
			key_of(table[i].scope, table[i].ns, table[i].id, table[i].name);

		cr_expect_str_eq(key, table[i].key);
		cr_expect_eq(
			store_group_is_of_pod(key), table[i].scope == STORE_GROUP_POD ||
							    table[i].scope == STORE_GROUP_SEPARATE);
	}
}

/* ---- property: different groups have different keys, and each is one harmless name ---- */

enum { SAMPLES = 3000, PART_MAX = 300 };

/* Bytes that an encoding stumbles over come more often than others. */
static char *random_part(unsigned *seed)
{
	static const char hard[] = "._-/%0_2e\\ \n\x01\xff\xc3\xa9~ab";
	size_t len = (size_t)rand_r(seed) % (rand_r(seed) % 8 ? 5 : PART_MAX);
	char *part = calloc(len + 1, 1);

	cr_assert_not_null(part);
	for (size_t i = 0; i < len; i++) {
		int c = rand_r(seed) % 3 ? hard[(size_t)rand_r(seed) % (sizeof(hard) - 1)]
					 : 1 + rand_r(seed) % 255;

		part[i] = (char)c;
	}
	return part;
}

struct sample {
	struct store_group g;
	char *key;
};

static bool same(const char *a, const char *b)
{
	return a && b ? str_eq(a, b) : !a && !b;
}

static bool same_group(const struct store_group *a, const struct store_group *b)
{
	return a->scope == b->scope && same(a->ns, b->ns) && same(a->id, b->id) &&
	       same(a->name, b->name);
}

static struct sample random_sample(unsigned *seed)
{
	struct sample s = {.g = {.scope = (enum store_group_scope)(rand_r(seed) % 4)}};

	if (s.g.scope != STORE_GROUP_NODE)
		s.g.ns = random_part(seed);
	if (s.g.scope == STORE_GROUP_POD || s.g.scope == STORE_GROUP_SEPARATE)
		s.g.id = random_part(seed);
	if (rand_r(seed) % 2)
		s.g.name = random_part(seed);
	cr_assert_eq(store_group_key(&s.g, &s.key), 0);
	return s;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct sample *)a)->key, ((const struct sample *)b)->key);
}

Test(store_group, keys_of_different_groups_never_collide)
{
	_cleanup_(store_layout_done) struct store_layout l = STORE_LAYOUT_INIT;
	static struct sample samples[SAMPLES];
	unsigned seed = 1; /* the same names in every run */

	cr_assert_eq(store_layout_init(&l, NULL, NULL, NULL), 0);
	for (size_t i = 0; i < SAMPLES; i++) {
		_cleanup_free_ char *path = NULL;

		samples[i] = random_sample(&seed);
		cr_assert_eq(
			store_ns_path(&l, samples[i].key, &path, NULL), 0, "%s", samples[i].key);
	}
	qsort(samples, SAMPLES, sizeof(*samples), compare);
	for (size_t i = 1; i < SAMPLES; i++) {
		if (str_eq(samples[i - 1].key, samples[i].key))
			cr_expect(
				same_group(&samples[i - 1].g, &samples[i].g), "%s", samples[i].key);
	}
	for (size_t i = 0; i < SAMPLES; i++) {
		store_group_done(&samples[i].g);
		free(samples[i].key);
	}
}

/* Where one part ends is not told by what is in it, nor a short key from a shortened one. */
Test(store_group, no_name_can_pretend_to_be_another_group)
{
	static const char *const pairs[][2][3] = {
		{{"a", NULL, "b"}, {"a.b", NULL, NULL}},
		{{"a", NULL, NULL}, {"a", NULL, ""}},
		{{"a_2eb", NULL, NULL}, {"a.b", NULL, NULL}},
		{{"", NULL, "a"}, {"a", NULL, ""}},
		{{"A", NULL, NULL}, {"a", NULL, NULL}},
	};
	_cleanup_free_ char *hashed = NULL, *imitation = NULL;
	char name[301];

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		_cleanup_free_ char *a = key_of(
			STORE_GROUP_NAMESPACE, pairs[i][0][0], pairs[i][0][1], pairs[i][0][2]);
		_cleanup_free_ char *b = key_of(
			STORE_GROUP_NAMESPACE, pairs[i][1][0], pairs[i][1][1], pairs[i][1][2]);

		cr_expect_str_neq(a, b);
	}
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	hashed = key_of(STORE_GROUP_NODE, NULL, NULL, name);
	cr_assert(str_has_prefix(hashed, "node._-"));
	imitation = key_of(STORE_GROUP_NODE, NULL, NULL, hashed + strlen("node."));
	cr_expect_str_neq(imitation, hashed);
}

/* ---- on disk ---- */

struct place {
	char dir[32];
	struct store_layout layout;
};

static void make_place(struct place *p)
{
	_cleanup_free_ char *root = NULL;

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/reaper-group-XXXXXX");
	cr_assert_not_null(mkdtemp(p->dir));
	cr_assert_eq(str_printf(&root, "%s/run", p->dir), 0);
	cr_assert_eq(store_layout_init(&p->layout, root, NULL, NULL), 0);
	cr_assert_eq(store_layout_prepare(&p->layout, NULL), 0);
}

static void record(const struct place *p, struct store_group *g)
{
	struct err err = ERR_INIT;
	int fd = open(p->layout.groups, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(store_group_place(&p->layout, g, &err), 0, "%s", err.text);
	cr_assert_eq(mkdir(g->dir, 0700), 0);
	cr_assert_eq(store_group_record(fd, g, &err), 0, "%s", err.text);
	cr_assert_eq(store_group_record(fd, g, &err), 0, "twice: %s", err.text);
	(void)close(fd);
}

static void forget(const struct place *p, const struct store_group *g)
{
	_cleanup_free_ char *path = NULL;

	cr_assert_eq(str_printf(&path, "%s/" STORE_GROUP_RECORD, g->dir), 0);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(rmdir(g->dir), 0);
	(void)p;
}

Test(store_group, what_was_recorded_is_listed_and_read)
{
	struct place p = {.layout = STORE_LAYOUT_INIT};
	_cleanup_(store_group_done) struct store_group team = {.scope = STORE_GROUP_NAMESPACE},
						       pod = {.scope = STORE_GROUP_POD},
						       read = STORE_GROUP_INIT;
	_cleanup_strv_ char **keys = NULL;
	struct err err = ERR_INIT;

	make_place(&p);
	team.ns = strdup("team/ä");
	pod.ns = strdup("k8s.io");
	pod.id = strdup("0f3c");
	pod.pod = strdup("default/web-0");
	record(&p, &team);
	record(&p, &pod);
	cr_assert_eq(store_groups_list(&p.layout, &keys, &err), 0, "%s", err.text);
	cr_assert_eq(strv_len(keys), 2U);
	cr_expect_str_eq(keys[0], team.key);
	cr_expect_str_eq(keys[1], pod.key);

	cr_assert_eq(store_group_load(&p.layout, pod.key, &read, &err), 0, "%s", err.text);
	cr_expect_eq(read.scope, STORE_GROUP_POD);
	cr_expect_str_eq(read.pod, "default/web-0");
	cr_expect_str_eq(read.base_dir, pod.base_dir);
	store_group_done(&read);

	/* without its record, which an interrupted start leaves out */
	forget(&p, &team);
	cr_assert_eq(store_group_load(&p.layout, team.key, &read, &err), 0);
	cr_expect_eq(read.scope, STORE_GROUP_NAMESPACE);
	cr_expect_null(read.ns);
	cr_expect_str_eq(read.base_dir, team.base_dir);
	cr_expect_lt(store_group_load(&p.layout, "../etc", &read, &err), 0);

	forget(&p, &pod);
	(void)rmdir(p.layout.groups);
	(void)rmdir(p.layout.ns);
	(void)rmdir(p.layout.seccomp);
	(void)rmdir(p.layout.overlay);
	cr_expect_eq(rmdir(p.layout.root), 0);
	cr_expect_eq(rmdir(p.dir), 0);
	store_layout_done(&p.layout);
}

Test(store_group, the_nodes_upper_is_where_users_look_for_it)
{
	_cleanup_(store_layout_done) struct store_layout l = STORE_LAYOUT_INIT;
	_cleanup_(store_group_done) struct store_group node = {.scope = STORE_GROUP_NODE},
						       named = {.scope = STORE_GROUP_NODE};

	cr_assert_eq(store_layout_init(&l, NULL, NULL, NULL), 0);
	cr_assert_eq(store_group_place(&l, &node, NULL), 0);
	cr_expect_str_eq(node.base_dir, "/run/reaper/overlay");
	cr_expect_str_eq(node.dir, "/run/reaper/groups/node");
	named.name = strdup("x");
	cr_assert_eq(store_group_place(&l, &named, NULL), 0);
	cr_expect_str_eq(named.base_dir, "/run/reaper/groups/node.x/overlay");
}
