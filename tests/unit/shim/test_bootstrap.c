#include "shim/bootstrap.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "proto/bootstrap.pb-c.h"
#include "proto/google/protobuf/any.pb-c.h"

static const char path[] = "/run/containerd/s/abc";

static void assert_bare(const uint8_t *data, size_t len)
{
	struct bootstrap b;
	uint8_t *answer = NULL;
	size_t n = 0;

	cr_assert_eq(bootstrap_parse(&b, data, len, "k8s.io", "c1"), 0);
	cr_assert(!b.params);
	cr_assert_eq(bootstrap_answer(&b, path, &answer, &n), 0);
	cr_assert_eq(n, strlen("unix://") + strlen(path));
	cr_assert_eq(memcmp(answer, "unix:///run/containerd/s/abc", n), 0);
	free(answer);
	bootstrap_done(&b);
}

Test(shim_bootstrap, answers_bare_to_nothing_garbage_and_an_any)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	uint8_t out[256];
	size_t len;

	assert_bare(NULL, 0);
	assert_bare((const uint8_t *)"\xff\xff\xff\xff garbage", 12);
	any.type_url = (char *)"runtimeoptions.v1.Options";
	any.value.data = (uint8_t *)"\x12\x02/x";
	any.value.len = 4;
	len = google__protobuf__any__pack(&any, out);
	assert_bare(out, len);
}

/* An Any with runc's options; the fields of others, and of runc's that nobody knows, are passed
 * over. */
static size_t runc_options(const char *type, uint8_t *out)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)type;
	any.value.data = (uint8_t *)"\x08\x01\x1a\x05/a/b4\x48\x01";
	any.value.len = 11;
	return google__protobuf__any__pack(&any, out);
}

Test(shim_bootstrap, shim_cgroup_is_read_of_both_dialects_and_of_runcs_options_only)
{
	Bootstrap__BootstrapParams params = BOOTSTRAP__BOOTSTRAP_PARAMS__INIT;
	Bootstrap__Extension extension = BOOTSTRAP__EXTENSION__INIT, *extensions[] = {&extension};
	struct bootstrap b;
	uint8_t any[256], out[512];
	size_t len = runc_options("containerd.runc.v1.Options", any);

	cr_assert_eq(bootstrap_parse(&b, any, len, "k8s.io", "c1"), 0);
	cr_assert(!b.params);
	cr_assert_str_eq(b.shim_cgroup, "/a/b4");
	bootstrap_done(&b);

	params.instance_id = (char *)"c1";
	params.namespace_ = (char *)"k8s.io";
	extension.value = google__protobuf__any__unpack(NULL, len, any);
	params.extensions = extensions;
	params.n_extensions = 1;
	cr_assert_eq(bootstrap_parse(&b, out, bootstrap__bootstrap_params__pack(&params, out),
			     "k8s.io", "c1"),
		0);
	cr_assert(b.params);
	cr_assert_str_eq(b.shim_cgroup, "/a/b4");
	google__protobuf__any__free_unpacked(extension.value, NULL);
	bootstrap_done(&b);

	len = runc_options("runtimeoptions.v1.Options", any);
	cr_assert_eq(bootstrap_parse(&b, any, len, "k8s.io", "c1"), 0);
	cr_assert_null(b.shim_cgroup);
	bootstrap_done(&b);
}

Test(shim_bootstrap, answers_bare_to_parameters_of_another_identity)
{
	Bootstrap__BootstrapParams params = BOOTSTRAP__BOOTSTRAP_PARAMS__INIT;
	uint8_t out[256];

	params.instance_id = (char *)"c2";
	params.namespace_ = (char *)"k8s.io";
	assert_bare(out, bootstrap__bootstrap_params__pack(&params, out));
}

Test(shim_bootstrap, answers_in_protobuf_to_parameters_of_its_own)
{
	Bootstrap__BootstrapParams params = BOOTSTRAP__BOOTSTRAP_PARAMS__INIT;
	Bootstrap__BootstrapResult *result;
	struct bootstrap b;
	uint8_t out[256], *answer = NULL;
	size_t n = 0;

	params.instance_id = (char *)"c1";
	params.namespace_ = (char *)"k8s.io";
	params.log_level = BOOTSTRAP__LOG_LEVEL__DEBUG;
	params.containerd_ttrpc_address = (char *)"/run/c.sock.ttrpc";
	params.socket_dir = (char *)"/run/sockets";
	n = bootstrap__bootstrap_params__pack(&params, out);
	cr_assert_eq(bootstrap_parse(&b, out, n, "k8s.io", "c1"), 0);
	cr_assert(b.params && b.debug);
	cr_assert_str_eq(b.ttrpc_address, "/run/c.sock.ttrpc");
	cr_assert_str_eq(b.socket_dir, "/run/sockets");
	cr_assert_eq(bootstrap_answer(&b, path, &answer, &n), 0);
	result = bootstrap__bootstrap_result__unpack(NULL, n, answer);
	cr_assert_not_null(result);
	cr_assert_eq(result->version, 2);
	cr_assert_str_eq(result->address, "unix:///run/containerd/s/abc");
	cr_assert_str_eq(result->protocol, "ttrpc");
	bootstrap__bootstrap_result__free_unpacked(result, NULL);
	free(answer);
	bootstrap_done(&b);
}
