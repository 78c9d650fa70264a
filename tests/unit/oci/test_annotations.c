#include "oci/annotations.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"

#define PAIR(k, v)                       \
	{                                \
		(char *)(k), (char *)(v) \
	}

Test(oci_annotations, finds_the_group_in_the_documented_order)
{
	struct json_pair all[] = {
		PAIR("io.kubernetes.cri.sandbox-id", "cri"),
		PAIR("io.containerd.runc.v2.group", "runc"),
		PAIR("io.containerd.reaper.v2.group", "reaper"),
	};
	static const char *const expected[] = {"own", "cri", "runc", "reaper"};

	for (size_t n = 0; n <= ARRAY_LEN(all); n++) {
		const struct oci_annotations a = {.v = all, .n = n};
		const char *key = NULL;

		cr_assert_eq(oci_group_key(&a, "own", &key, NULL), 0);
		cr_assert_str_eq(key, expected[n]);
	}
}

Test(oci_annotations, refuses_a_group_that_is_no_name)
{
	static char too_long[1026];
	const char *const bad[] = {"", "a\nb", "\x7f", too_long};

	memset(too_long, 'x', sizeof(too_long) - 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct json_pair one[] = {PAIR("io.containerd.reaper.v2.group", bad[i])};
		const struct oci_annotations a = {.v = one, .n = 1};
		const char *key = NULL;
		struct err err = ERR_INIT;

		cr_expect_eq(oci_group_key(&a, "own", &key, &err), -EINVAL);
		cr_expect_str_eq(err.text, "annotation io.containerd.reaper.v2.group: must be 1 to "
					   "1024 bytes without control characters");
		cr_expect_null(key);
	}
}

Test(oci_annotations, tells_sandboxes_containers_and_others_apart)
{
	static const struct {
		const char *value;
		enum oci_container_type type;
	} table[] = {{"sandbox", OCI_TYPE_SANDBOX}, {"container", OCI_TYPE_CONTAINER},
		{"Sandbox", OCI_TYPE_PLAIN}, {"", OCI_TYPE_PLAIN}};
	const struct oci_annotations none = {.v = NULL};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct json_pair one[] = {PAIR(OCI_ANNOTATION_CONTAINER_TYPE, table[i].value)};
		const struct oci_annotations a = {.v = one, .n = 1};

		cr_expect_eq(oci_container_type(&a), table[i].type);
	}
	cr_assert_eq(oci_container_type(&none), OCI_TYPE_PLAIN);
}

Test(oci_annotations, are_loaded_without_looking_at_the_rest)
{
	static const char text[] =
		"{\"process\":7,\"annotations\":{\"io.containerd.runc.v2.group\":"
		"\"g\"},\"linux\":[]}";
	char bundle[] = "/tmp/reaper-ann-XXXXXX", path[64];
	struct oci_annotations a = {.v = NULL};
	struct err err = ERR_INIT;

	cr_assert_not_null(mkdtemp(bundle));
	(void)snprintf(path, sizeof(path), "%s/config.json", bundle);
	cr_assert_eq(oci_annotations_load(bundle, &a, &err), -ENOENT);
	cr_assert_eq(err.kind, ERR_NOT_FOUND);
	cr_assert_eq(file_replace_at(AT_FDCWD, path, text, strlen(text), 0600, NULL), 0);
	cr_assert_eq(oci_annotations_load(bundle, &a, &err), 0, "%s", err.text);
	cr_assert_str_eq(oci_annotation_get(&a, "io.containerd.runc.v2.group"), "g");
	oci_annotations_done(&a);
	oci_annotations_done(&a);
	oci_annotations_done(NULL);
	cr_assert_eq(file_replace_at(AT_FDCWD, path, "{}", 2, 0600, NULL), 0);
	cr_assert_eq(oci_annotations_load(bundle, &a, &err), 0);
	cr_assert_eq(a.n, 0);
	cr_assert_eq(file_replace_at(AT_FDCWD, path, "{", 1, 0600, NULL), 0);
	cr_assert_lt(oci_annotations_load(bundle, &a, &err), 0);
	cr_assert_str_eq(err.text, "config.json: the text ends in the middle, after 1 bytes");
	(void)unlink(path);
	(void)rmdir(bundle);
}
