#include "stream/uri.h"

#include <criterion/criterion.h>
#include "base/str.h"

static void expect(
	const char *text, enum stream_scheme scheme, const char *path, const char *const *argv)
{
	struct stream_uri uri = STREAM_URI_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(stream_uri_parse(text, &uri, &err), 0, "%s: %s", text, err.text);
	cr_assert_eq(uri.scheme, scheme, "%s", text);
	cr_assert_str_eq(uri.path, path, "%s", text);
	cr_assert_eq(strv_len(uri.argv), strv_len((char *const *)argv), "%s", text);
	for (size_t i = 0; argv && argv[i]; i++)
		cr_assert_str_eq(uri.argv[i], argv[i], "%s", text);
	stream_uri_done(&uri);
	stream_uri_done(&uri);
}

static void refuse(const char *text, const char *says)
{
	struct stream_uri uri = STREAM_URI_INIT;
	struct err err = ERR_INIT;

	cr_assert_lt(stream_uri_parse(text, &uri, &err), 0, "%s", text);
	cr_assert_eq(err.kind, ERR_INVALID);
	cr_assert_not_null(strstr(err.text, says), "%s: %s", text, err.text);
	cr_assert_null(uri.path);
}

Test(stream_uri, a_path_is_taken_as_it_is)
{
	expect("", STREAM_FIFO, "", NULL);
	expect("/run/x?a=b%20#c", STREAM_FIFO, "/run/x?a=b%20#c", NULL);
	expect("/run/file://x", STREAM_FIFO, "/run/file://x", NULL);
	expect("relative", STREAM_FIFO, "relative", NULL);
}

Test(stream_uri, the_path_of_a_uri_is_decoded)
{
	expect("fifo:///a/b", STREAM_FIFO, "/a/b", NULL);
	expect("file:///a%20b%2fc+d", STREAM_FILE, "/a b/c+d", NULL);
	expect("file:///a?x=y#z", STREAM_FILE, "/a", NULL);
	expect("file:///100%", STREAM_FILE, "/100%", NULL);
	expect("file:///%4", STREAM_FILE, "/%4", NULL);
	expect("file:///%zz%00", STREAM_FILE, "/%zz%00", NULL);
}

Test(stream_uri, the_query_becomes_the_arguments_of_a_logger)
{
	const char *plain[] = {"/l", NULL};
	const char *full[] = {"/l", "k", "v", "k2", "", "k3", "a b=c&d", "", "x", NULL};

	expect("binary:///l", STREAM_BINARY, "/l", plain);
	expect("binary:///l?", STREAM_BINARY, "/l", plain);
	expect("binary-v2:///l?&&#k=v", STREAM_BINARY_V2, "/l", plain);
	expect("binary:///l?k=v&k2&k3=a+b%3Dc%26d&=x", STREAM_BINARY, "/l", full);
}

Test(stream_uri, what_it_is_not_is_refused_by_name)
{
	refuse("http:///x", "http://: unknown scheme; there are fifo, file, binary and binary-v2");
	refuse("://x", "unknown scheme");
	refuse("bin:///x", "bin://");
	refuse("file://tmp/x", "file://tmp/x: not an absolute path");
	refuse("file://", "not an absolute path");
	refuse("binary://?a=b", "not an absolute path");
}

Test(stream_uri, stdin_and_stderr_are_fifos_with_or_without_a_scheme)
{
	cr_assert_str_eq(stream_fifo_path("fifo:///x"), "/x");
	cr_assert_str_eq(stream_fifo_path("/x"), "/x");
	cr_assert_str_eq(stream_fifo_path("file:///x"), "file:///x");
}
