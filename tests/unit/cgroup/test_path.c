#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/macro.h"
#include "cgroup/path.h"

static const struct {
	const char *text, *path, *slice, *unit;
	bool own_parents;
} good[] = {
	{NULL, "/reaper/k8s.io/abc", NULL, NULL, true},
	{"", "/reaper/k8s.io/abc", NULL, NULL, true},
	{"abc", "/reaper/k8s.io/abc", NULL, NULL, true},
	{"x/abc", "/reaper/k8s.io/x/abc", NULL, NULL, true},
	{"/kubepods/podX/abc", "/kubepods/podX/abc", NULL, NULL, false},
	{"/k8s.io/abc", "/k8s.io/abc", NULL, NULL, true},
	{"/k8s.io/abcd", "/k8s.io/abcd", NULL, NULL, false},
	{"//kubepods/./podX//abc/", "/kubepods/podX/abc", NULL, NULL, false},
	{"/a:b:c", "/a:b:c", NULL, NULL, false},
	{"kubepods-besteffort-pod1_2.slice:cri-containerd:abc",
		"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/"
		"cri-containerd-abc.scope",
		"kubepods-besteffort-pod1_2.slice", "cri-containerd-abc.scope", false},
	{"system.slice:x:abc", "/system.slice/x-abc.scope", "system.slice", "x-abc.scope", false},
	{":x:abc", "/system.slice/x-abc.scope", "system.slice", "x-abc.scope", false},
	{"-.slice:x:abc", "/x-abc.scope", "-.slice", "x-abc.scope", false},
	{"a.slice::abc", "/a.slice/abc.scope", "a.slice", "abc.scope", false},
	{"a.slice:x:b.slice", "/a.slice/b.slice", "a.slice", "b.slice", false},
};

static void check_optional(const char *got, const char *want, const char *text)
{
	cr_assert_eq(got == NULL, want == NULL, "%s", text);
	if (want)
		cr_assert_str_eq(got, want);
}

Test(cgroup_path, both_forms_become_the_directories_that_the_rules_say)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct cgroup_path p = CGROUP_PATH_INIT;
		struct err err = ERR_INIT;

		cr_assert_eq(cgroup_path_parse(good[i].text, "k8s.io", "abc", &p, &err), 0, "%s",
			err.text);
		cr_assert_str_eq(p.path, good[i].path);
		check_optional(p.slice, good[i].slice, good[i].text);
		check_optional(p.unit, good[i].unit, good[i].text);
		cr_assert_eq(p.own_parents, good[i].own_parents, "%s", p.path);
		cgroup_path_done(&p);
		cgroup_path_done(&p);
	}
}

static const struct {
	const char *text;
	int errnum;
	const char *says;
} bad[] = {
	{"/", EINVAL, "no cgroup of its own"},
	{"///.", EINVAL, "no cgroup of its own"},
	{"./", EINVAL, "no cgroup of its own"},
	{"/a/../b", EINVAL, "\"..\""},
	{"..", EINVAL, "\"..\""},
	{"/a\nb", EINVAL, "control character"},
	{"/a\x7f", EINVAL, "control character"},
	{"nope:x:abc", EINVAL, "slice:prefix:name"},
	{"a.slice:x:", EINVAL, "slice:prefix:name"},
	{"a--b.slice:x:abc", EINVAL, "no name of a slice"},
	{"-a.slice:x:abc", EINVAL, "no name of a slice"},
	{"a-.slice:x:abc", EINVAL, "no name of a slice"},
	{".slice:x:abc", EINVAL, "no name of a slice"},
	{"b/a.slice:x:abc", EINVAL, "no '/'"},
	{"a.slice:x:../abc", EINVAL, "no '/'"},
};

Test(cgroup_path, what_is_wrong_is_refused_by_name)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cgroup_path p = CGROUP_PATH_INIT;
		struct err err = ERR_INIT;

		cr_assert_eq(cgroup_path_parse(bad[i].text, "k8s.io", "abc", &p, &err),
			-bad[i].errnum, "%s", bad[i].text);
		cr_assert_eq(err.kind, ERR_INVALID);
		cr_assert_not_null(strstr(err.text, bad[i].says), "%s", err.text);
		cr_assert_null(p.path);
	}
}

Test(cgroup_path, over_long_input_is_refused)
{
	struct cgroup_path p = CGROUP_PATH_INIT;
	struct err err = ERR_INIT;
	char *text = malloc(8000);
	size_t n = 0;

	memset(text, 'a', 7999);
	text[0] = '/';
	text[7999] = '\0';
	cr_assert_eq(cgroup_path_parse(text, "n", "i", &p, &err), -ENAMETOOLONG);
	text[257] = '\0'; /* one component of 256 bytes */
	cr_assert_eq(cgroup_path_parse(text, "n", "i", &p, &err), -ENAMETOOLONG);
	text[256] = '\0';
	cr_assert_eq(cgroup_path_parse(text, "n", "i", &p, &err), 0);
	cgroup_path_done(&p);
	for (n = 0; n < 2 * (CGROUP_PATH_DEPTH + 1); n += 2)
		memcpy(text + n, "/a", 3);
	cr_assert_eq(cgroup_path_parse(text, "n", "i", &p, &err), -ENAMETOOLONG);
	free(text);
}
