#include "shim/socket.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

Test(shim_socket, is_where_containerds_own_shims_would_have_it)
{
	_cleanup_free_ char *path = NULL;

	/* printf '%s' /run/containerd/containerd.sock/k8s.io/pod1 | sha256sum */
	cr_assert_eq(
		socket_path(NULL, "/run/containerd/containerd.sock", "k8s.io", "pod1", &path, NULL),
		0);
	cr_assert_str_eq(path, "/run/containerd/s/"
			       "8e264b1ad347c80aee5f3dea6e4bb53d72026989222058782273d5db043c7723");
}

Test(shim_socket, does_not_depend_on_doubled_slashes)
{
	_cleanup_free_ char *a = NULL, *b = NULL;

	cr_assert_eq(socket_path(NULL, "/run/c.sock", "n", "g", &a, NULL), 0);
	cr_assert_eq(socket_path(NULL, "/run//c.sock/", "n", "g", &b, NULL), 0);
	cr_assert_str_eq(a, b);
}

Test(shim_socket, refuses_a_directory_that_leaves_no_room_for_the_name)
{
	struct err err = ERR_INIT;
	char *path = NULL;

	cr_assert_lt(socket_path("/a/directory/whose/name/is/so/long/that/no/socket/fits", "/c",
			     "n", "g", &path, &err),
		0);
	cr_assert(strstr(err.text, "at most 107"), "%s", err.text);
}

static int claim_and_bind(const char *path)
{
	_cleanup_(socket_claim_done) struct socket_claim claim = SOCKET_CLAIM_INIT;

	cr_assert_eq(socket_claim(path, "n", "c1", &claim, NULL), 0);
	cr_assert_geq(claim.lock, 0);
	return socket_bind(path);
}

Test(shim_socket, replaces_one_that_nobody_listens_on_and_makes_it_roots_own)
{
	char dir[] = "/tmp/reaper-socket-XXXXXX", path[64];
	_cleanup_close_ int first = -EBADF, second = -EBADF;
	struct stat st;

	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/s/x", dir);
	first = claim_and_bind(path);
	cr_assert_geq(first, 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	(void)close(first);
	first = -EBADF;
	second = claim_and_bind(path);
	cr_assert_geq(second, 0);
	(void)close(second);
	second = -EBADF;
	socket_release(path, "one");
	cr_assert_neq(stat(path, &st), 0);
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(rmdir(dir), 0);
}
