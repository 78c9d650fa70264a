#include "node/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "cli/child.h"

enum { TAR_BLOCK = 512, IMAGE_TAR_MAX = 1 << 20 };

/* The architecture as Go spells it: an image for another one is refused. */
#if defined(__x86_64__)
#	define IMAGE_ARCH "amd64"
#elif defined(__aarch64__)
#	define IMAGE_ARCH "arm64"
#elif defined(__riscv)
#	define IMAGE_ARCH "riscv64"
#elif defined(__powerpc64__)
#	define IMAGE_ARCH "ppc64le"
#elif defined(__s390x__)
#	define IMAGE_ARCH "s390x"
#else
#	error "name this architecture as Go does"
#endif

/* OCI image-spec config.md: the image has no history, no layers, no command; the pod names one. */
static const char image_config[] =
	"{\"architecture\":\"" IMAGE_ARCH "\",\"os\":\"linux\","
	"\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";

/* One file of a tar (POSIX ustar): everything that could differ is fixed. */
static int put_file(struct buf *out, const char *name, const char *data, size_t len)
{
	static const char zeros[TAR_BLOCK];
	unsigned char h[TAR_BLOCK] = {0};
	unsigned sum = 0;
	int r;

	(void)snprintf((char *)h, 100, "%s", name);
	(void)snprintf((char *)h + 100, 8, "%07o", 0444);
	(void)snprintf((char *)h + 108, 8, "%07o", 0);
	(void)snprintf((char *)h + 116, 8, "%07o", 0);
	(void)snprintf((char *)h + 124, 12, "%011zo", len);
	(void)snprintf((char *)h + 136, 12, "%011o", 0);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar", sizeof("ustar"));
	memset(h + 263, '0', 2);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += h[i];
	(void)snprintf((char *)h + 148, 8, "%06o", sum & 0777777);
	h[155] = ' ';
	r = buf_append(out, h, sizeof(h));
	if (r == 0)
		r = buf_append(out, data, len);
	if (r == 0 && len % TAR_BLOCK)
		r = buf_append(out, zeros, TAR_BLOCK - len % TAR_BLOCK);
	return r;
}

static int put_blob(struct buf *out, const char *data, size_t len, char ret_digest[65])
{
	char name[100];

	sha256_hex(data, len, ret_digest);
	(void)snprintf(name, sizeof(name), "blobs/sha256/%s", ret_digest);
	return put_file(out, name, data, len);
}

static int write_manifest(struct buf *manifest, const char *config_digest)
{
	return buf_printf(manifest,
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
		"\"digest\":\"sha256:%s\",\"size\":%zu},\"layers\":[]}",
		config_digest, sizeof(image_config) - 1);
}

static int manifest_digest(struct buf *manifest, char ret_digest[65])
{
	char config[65];
	int r;

	sha256_hex(image_config, sizeof(image_config) - 1, config);
	r = write_manifest(manifest, config);
	if (r == 0)
		sha256_hex(manifest->data, manifest->len, ret_digest);
	return r;
}

int image_tar(struct buf *out)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	static const char end[TAR_BLOCK * 2];
	_cleanup_(buf_done) struct buf manifest = BUF_INIT(4096), index = BUF_INIT(4096);
	char config[65], digest[65];
	int r;

	r = put_file(out, "oci-layout", layout, sizeof(layout) - 1);
	if (r == 0)
		r = put_blob(out, image_config, sizeof(image_config) - 1, config);
	if (r == 0)
		r = write_manifest(&manifest, config);
	if (r == 0)
		r = put_blob(out, manifest.data, manifest.len, digest);
	if (r == 0)
		r = buf_printf(&index,
			"{\"schemaVersion\":2,\"mediaType\":\"application/"
			"vnd.oci.image.index.v1+json\","
			"\"manifests\":[{\"mediaType\":\"application/"
			"vnd.oci.image.manifest.v1+json\","
			"\"digest\":\"sha256:%s\",\"size\":%zu,\"annotations\":{"
			"\"io.containerd.image.name\":\"" IMAGE_NAME "\","
			"\"org.opencontainers.image.ref.name\":\"1\"},"
			"\"platform\":{\"architecture\":\"" IMAGE_ARCH "\",\"os\":\"linux\"}}]}",
			digest, manifest.len);
	if (r == 0)
		r = put_file(out, "index.json", index.data, index.len);
	return r < 0 ? r : buf_append(out, end, sizeof(end));
}

/* `ctr` beside the daemon's program, else on PATH. It belongs to containerd's own package. */
static int find_ctr(const char *program, char **ret, struct err *err)
{
	const char *slash = program ? strrchr(program, '/') : NULL;
	_cleanup_free_ char *path = NULL;

	if (slash) {
		if (str_printf(&path, "%.*s/ctr", (int)(slash - program), program) < 0)
			return err_sysf(err, ENOMEM, "ctr");
		if (access(path, X_OK) == 0) {
			*ret = TAKE_PTR(path);
			return 0;
		}
	}
	return child_find("ctr", ret, err);
}

struct ctr {
	char *path;
	const char *address, *containerd_namespace;
	uint64_t timeout_s;
};

/* ctr --address A -n NS images WORDS… */
static int run_ctr(const struct ctr *ctr, const char *const *words, const struct buf *input,
	struct child_result *res, struct err *err)
{
	const char *argv[16] = {"ctr", "--address", ctr->address, "--namespace",
		ctr->containerd_namespace, "images"};
	struct child_spec spec = {.path = ctr->path,
		.argv = (char *const *)argv,
		.input = input ? input->data : NULL,
		.input_len = input ? input->len : 0,
		.timeout_s = ctr->timeout_s};
	size_t n = 6;
	int r;

	while (*words && n + 1 < sizeof(argv) / sizeof(argv[0]))
		argv[n++] = *words++;
	r = child_run(&spec, res, err);
	if (r < 0)
		return r;
	if (res->status != 0)
		return err_setf(err, ERR_PRECONDITION, EIO, "%s images %s: %s", ctr->path, argv[6],
			child_last_line(&res->err));
	return 0;
}

/* Whether the namespace has the image with these bytes and both labels. */
static int is_there(const struct ctr *ctr, const char *digest, bool *ret, struct err *err)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	static const char *const words[] = {"list", "name==" IMAGE_NAME, NULL};
	int r = run_ctr(ctr, words, NULL, &res, err);

	if (r < 0)
		return r;
	*ret = res.out.data && strstr(res.out.data, digest) &&
	       strstr(res.out.data, "io.cri-containerd.image=managed") &&
	       strstr(res.out.data, "io.cri-containerd.pinned=pinned");
	return 0;
}

static int import_and_label(const struct ctr *ctr, struct err *err)
{
	_cleanup_(child_result_done) struct child_result imported = CHILD_RESULT_INIT,
							 labelled = CHILD_RESULT_INIT;
	/* what the CRI plugin puts on images it has pulled; older ones do not know the second */
	static const char *const label[] = {"label", IMAGE_NAME, "io.cri-containerd.image=managed",
		"io.cri-containerd.pinned=pinned", NULL};
	static const char *const import[] = {"import", "-", NULL};
	_cleanup_(buf_done) struct buf tar = BUF_INIT(IMAGE_TAR_MAX);
	int r = image_tar(&tar);

	if (r < 0)
		return err_sysf(err, -r, "image");
	r = run_ctr(ctr, import, &tar, &imported, err);
	return r < 0 ? r : run_ctr(ctr, label, NULL, &labelled, err);
}

/* Looks, and imports it unless that is all that was asked for. */
static int look(const char *program, const char *address, const char *containerd_namespace,
	uint64_t timeout_s, bool import, bool *ret_there, struct err *err)
{
	_cleanup_(buf_done) struct buf manifest = BUF_INIT(4096);
	_cleanup_free_ char *path = NULL;
	struct ctr ctr = {.address = address,
		.containerd_namespace = containerd_namespace,
		.timeout_s = timeout_s};
	char digest[65];
	int r = find_ctr(program, &path, err);

	if (r < 0)
		return r;
	ctr.path = path;
	r = manifest_digest(&manifest, digest);
	if (r < 0)
		return err_sysf(err, -r, "image");
	r = is_there(&ctr, digest, ret_there, err);
	return r == 0 && !*ret_there && import ? import_and_label(&ctr, err) : r;
}

int image_look(const char *program, const char *address, const char *containerd_namespace,
	uint64_t timeout_s, bool *ret_there, struct err *err)
{
	return look(program, address, containerd_namespace, timeout_s, false, ret_there, err);
}

int image_ensure(const char *program, const char *address, const char *containerd_namespace,
	uint64_t timeout_s, bool *ret_changed, struct err *err)
{
	bool there;
	int r = look(program, address, containerd_namespace, timeout_s, true, &there, err);

	if (r == 0)
		*ret_changed = !there;
	return r;
}

int image_tar_command(const struct cli_args *args)
{
	_cleanup_(buf_done) struct buf tar = BUF_INIT(IMAGE_TAR_MAX);
	int r;

	(void)args;
	if (isatty(STDOUT_FILENO)) {
		(void)fputs("reaperctl: the tar goes to standard output: redirect it to a file\n",
			stderr);
		return CLI_EXIT_USAGE;
	}
	r = image_tar(&tar);
	if (r == 0)
		r = file_write_all(STDOUT_FILENO, tar.data, tar.len);
	if (r < 0)
		(void)fprintf(stderr, "reaperctl: image: %s\n", strerrordesc_np(-r));
	return r < 0;
}
