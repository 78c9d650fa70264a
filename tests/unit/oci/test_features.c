#include "oci/features.h"

#include <criterion/criterion.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"

static bool has(char *const *v, const char *word)
{
	for (; v && *v; v++) {
		if (str_eq(*v, word))
			return true;
	}
	return false;
}

Test(oci_features, is_a_features_document_without_user_namespaces)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_free_ char *text = NULL, *version = NULL;
	_cleanup_strv_ char **namespaces = NULL, **options = NULL, **caps = NULL;
	struct json_ref linux_, extensions, idmap, seccomp;
	struct err err = ERR_INIT;
	bool enabled = true;
	size_t len;

	cr_assert_eq(oci_features_write(JSON_COMPACT, &text, &len, &err), 0);
	cr_assert_eq(len, strlen(text));
	cr_assert_eq(json_parse(text, len, "features", &root, &err), 0, "%s", err.text);
	cr_assert_eq(json_get_str(&root, "ociVersionMin", &version, &err), 1);
	cr_assert_str_eq(version, "1.0.0");
	cr_assert_eq(json_get_strv(&root, "mountOptions", 200, &options, &err), 1);
	cr_assert(has(options, "rbind") && has(options, "rro") && !has(options, "ridmap"));
	cr_assert_eq(json_get_object(&root, "linux", &linux_, &err), 1);
	cr_assert_eq(json_get_strv(&linux_, "namespaces", 20, &namespaces, &err), 1);
	cr_assert(
		has(namespaces, "network") && !has(namespaces, "user") && !has(namespaces, "time"));
	cr_assert_eq(json_get_strv(&linux_, "capabilities", 64, &caps, &err), 1);
	cr_assert_eq(strv_len(caps), 41);
	cr_assert_eq(json_get_object(&linux_, "mountExtensions", &extensions, &err), 1);
	cr_assert_eq(json_get_object(&extensions, "idmap", &idmap, &err), 1);
	cr_assert_eq(json_get_bool(&idmap, "enabled", &enabled, &err), 1);
	cr_assert(!enabled);
	cr_assert_eq(json_get_object(&linux_, "seccomp", &seccomp, &err), 1);
}
