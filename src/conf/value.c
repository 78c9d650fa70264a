#include "conf/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/num.h"
#include "base/str.h"

enum { PATHS_MAX = 256 };

/* ---- words of a closed list ---- */

static const char *const isolation_words[] = {
	[OVERLAY_NODE] = "node", [OVERLAY_NAMESPACE] = "namespace", [OVERLAY_POD] = "pod", NULL};
static const char *const trust_words[] = {
	[OVERLAY_TRUST_SHARED] = "shared", [OVERLAY_TRUST_SEPARATE] = "separate", NULL};
static const char *const merge_words[] = {
	[CONTAINERD_MERGE_AUTO] = "auto", [CONTAINERD_MERGE_NO] = "no", NULL};
static const char *const boot_words[] = {
	[UPPER_BOOT_RESET] = "reset", [UPPER_BOOT_KEEP] = "keep", NULL};
static const char *const dns_words[] = {
	[DNS_KUBERNETES] = "kubernetes", [DNS_HOST] = "host", "k8s", NULL};
static const char *const level_words[] = {[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
	NULL};
static const char *const namespace_words[] = {"pid", "ipc", "uts", "net", NULL}; /* bit 0, 1, … */

int value_find_word(const char *const *words, const char *text)
{
	for (int i = 0; words[i]; i++) {
		if (str_eq(words[i], text))
			return i;
	}
	return -EINVAL;
}

int value_parse_isolation(struct settings *s, const char *text, const char **ret_why)
{
	int word = value_find_word(isolation_words, text);

	(void)ret_why;
	if (word >= 0)
		s->isolation = (enum overlay_isolation)word;
	return word < 0 ? word : 0;
}

int value_format_isolation(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, isolation_words[s->isolation]);
}

int value_parse_trust(struct settings *s, const char *text, const char **ret_why)
{
	int word = value_find_word(trust_words, text);

	(void)ret_why;
	if (word >= 0)
		s->trust = (enum overlay_trust)word;
	return word < 0 ? word : 0;
}

int value_format_trust(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, trust_words[s->trust]);
}

int value_parse_merge(struct settings *s, const char *text, const char **ret_why)
{
	int word = value_find_word(merge_words, text);

	(void)ret_why;
	if (word >= 0)
		s->containerd_merge = (enum containerd_merge)word;
	return word < 0 ? word : 0;
}

int value_format_merge(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, merge_words[s->containerd_merge]);
}

int value_parse_dns_mode(struct settings *s, const char *text, const char **ret_why)
{
	int word = value_find_word(dns_words, text);

	(void)ret_why;
	if (word < 0)
		return word;
	s->dns_mode = str_eq(text, "host") ? DNS_HOST : DNS_KUBERNETES;
	return 0;
}

int value_format_dns_mode(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, dns_words[s->dns_mode]);
}

int value_parse_annotations(struct settings *s, const char *text, const char **ret_why)
{
	(void)ret_why;
	return num_parse_bool(text, &s->annotations);
}

int value_format_annotations(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, s->annotations ? "true" : "false");
}

int value_parse_level(struct settings *s, const char *text, const char **ret_why)
{
	int word = value_find_word(level_words, text);

	(void)ret_why;
	if (word >= 0)
		s->log_level = (enum log_level)word;
	return word < 0 ? word : 0;
}

int value_format_level(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, level_words[s->log_level]);
}

int value_parse_namespaces(struct settings *s, const char *text, const char **ret_why)
{
	_cleanup_strv_ char **words = NULL;
	unsigned set = 0;

	(void)ret_why;
	if (str_empty(text))
		return -EINVAL;
	if (!str_eq(text, "none")) {
		if (strv_split(&words, text, " \t,") < 0)
			return -ENOMEM;
		for (char **w = words; w && *w; w++) {
			int word = value_find_word(namespace_words, *w);

			if (word < 0)
				return word;
			set |= 1U << word;
		}
	}
	s->host_namespaces = set;
	return 0;
}

int value_format_namespaces(const struct settings *s, struct buf *b)
{
	const char *sep = "";
	int r = s->host_namespaces ? 0 : buf_append_str(b, "none");

	for (int i = 0; r == 0 && namespace_words[i]; i++) {
		if (!(s->host_namespaces & (1U << i)))
			continue;
		r = buf_printf(b, "%s%s", sep, namespace_words[i]);
		sep = " ";
	}
	return r;
}

/* ---- numbers ---- */

int value_parse_upper_size(struct settings *s, const char *text, const char **ret_why)
{
	struct setting_size size = {.percent = 0};
	size_t len = strlen(text);
	uint64_t v;
	int r;

	(void)ret_why;
	if (len > 1 && len < 5 && text[len - 1] == '%') {
		char digits[5];

		memcpy(digits, text, len);
		digits[len - 1] = '\0';
		r = num_parse_u64(digits, 90, &v);
		if (r < 0 || v < 1)
			return -EINVAL;
		size.percent = (unsigned)v;
	} else {
		r = num_parse_size(text, &size.bytes);
		if (r < 0 || size.bytes < SETTING_SIZE_MIN || size.bytes > INT64_MAX)
			return -EINVAL;
	}
	s->upper_size = size;
	return 0;
}

int value_format_upper_size(const struct settings *s, struct buf *b)
{
	if (s->upper_size.percent)
		return buf_printf(b, "%u%%", s->upper_size.percent);
	return buf_printf(b, "%" PRIu64, s->upper_size.bytes);
}

int value_parse_upper_inodes(struct settings *s, const char *text, const char **ret_why)
{
	uint64_t v = 0;

	(void)ret_why;
	if (!str_eq(text, "auto") && (num_parse_u64(text, 1000000000, &v) < 0 || v < 1024))
		return -EINVAL;
	s->upper_inodes = v;
	return 0;
}

int value_format_upper_inodes(const struct settings *s, struct buf *b)
{
	if (s->upper_inodes == 0)
		return buf_append_str(b, "auto");
	return buf_printf(b, "%" PRIu64, s->upper_inodes);
}

int value_parse_time(const char *text, uint64_t *ret_ms)
{
	static const struct {
		const char *suffix;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}};
	size_t digits = strspn(text, "0123456789");
	char number[16];
	uint64_t v;

	if (digits == 0 || digits >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (!str_eq(text + digits, units[i].suffix))
			continue;
		if (num_parse_u64(number, VALUE_TIME_MAX_MS / units[i].ms, &v) < 0)
			return -EINVAL;
		*ret_ms = v * units[i].ms;
		return 0;
	}
	return -EINVAL;
}

int value_parse_exit_grace(struct settings *s, const char *text, const char **ret_why)
{
	(void)ret_why;
	return value_parse_time(text, &s->exit_grace_ms);
}

int value_format_exit_grace(const struct settings *s, struct buf *b)
{
	return buf_printf(b, "%" PRIu64 "%s", s->exit_grace_ms, s->exit_grace_ms ? "ms" : "");
}

/* ---- paths ---- */

bool value_is_path(const char *path, unsigned levels)
{
	const char *p = path;
	unsigned parts = 0;

	if (*p != '/')
		return false;
	while (*p) {
		size_t len = strcspn(++p, "/");

		if (len == 0 || (len == 1 && p[0] == '.') || (len == 2 && !strncmp(p, "..", 2)))
			return false;
		p += len;
		parts++;
	}
	return parts >= levels;
}

int value_parse_upper_base(struct settings *s, const char *text, const char **ret_why)
{
	char *copy = NULL;

	(void)ret_why;
	if (!str_eq(text, "none") && !str_eq(text, "auto")) {
		if (!value_is_path(text, 2) || strlen(text) > 200)
			return -EINVAL;
		copy = strdup(text);
		if (!copy)
			return -ENOMEM;
	}
	free(s->upper_base);
	s->upper_base = copy;
	s->upper_no_disk = str_eq(text, "none");
	return 0;
}

int value_format_upper_base(const struct settings *s, struct buf *b)
{
	if (s->upper_base)
		return buf_append_str(b, s->upper_base);
	return buf_append_str(b, s->upper_no_disk ? "none" : "auto");
}

int value_parse_upper_boot(struct settings *s, const char *text, const char **ret_why)
{
	int word = value_find_word(boot_words, text);

	(void)ret_why;
	if (word >= 0)
		s->upper_boot = (enum upper_boot)word;
	return word < 0 ? word : 0;
}

int value_format_upper_boot(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, boot_words[s->upper_boot]);
}

int value_parse_overlay_base(struct settings *s, const char *text, const char **ret_why)
{
	char *copy;

	(void)ret_why;
	/* three levels: a tmpfs is mounted there, nobody wants it on /run or /var/lib */
	if (!value_is_path(text, 3) || strlen(text) > 200)
		return -EINVAL;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(s->overlay_base);
	s->overlay_base = copy;
	return 0;
}

int value_format_overlay_base(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, s->overlay_base);
}

static void free_paths(struct setting_path *paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(paths[i].path);
	free(paths);
}

/* One word of the list: a path below /run, with :ro or :rw. */
static int parse_run_path(const char *word, struct setting_path *ret_path)
{
	struct setting_path p = {.writable = str_has_suffix(word, ":rw")};
	size_t len = strlen(word);

	if (p.writable || str_has_suffix(word, ":ro"))
		len -= 3;
	p.path = strndup(word, len);
	if (!p.path)
		return -ENOMEM;
	if (!str_has_prefix(p.path, "/run/") || !value_is_path(p.path, 2)) {
		free(p.path);
		return -EINVAL;
	}
	*ret_path = p;
	return 0;
}

/* The words of the list; "+" first puts them behind the default. */
static int split_run_paths(const char *text, char ***ret_words)
{
	_cleanup_strv_ char **words = NULL, **more = NULL;
	bool add = text[0] == '+';
	int r = strv_split(&more, text + add, " \t,");

	if (r == 0 && add)
		r = strv_split(&words, setting_info(SETTING_RUN_PATHS)->def, " ");
	for (char **w = more; r == 0 && w && *w; w++)
		r = strv_append(&words, *w);
	if (r < 0)
		return r;
	*ret_words = TAKE_PTR(words);
	return 0;
}

int value_parse_run_paths(struct settings *s, const char *text, const char **ret_why)
{
	_cleanup_strv_ char **words = NULL;
	struct setting_path *paths;
	size_t n = 0;
	int r = str_eq(text, "none") ? 0 : split_run_paths(text, &words);

	(void)ret_why;
	if (r < 0)
		return r;
	if (str_empty(text) || strv_len(words) > PATHS_MAX)
		return -EINVAL;
	paths = calloc(strv_len(words) + 1, sizeof(*paths));
	if (!paths)
		return -ENOMEM;
	for (char **w = words; w && *w; w++) {
		r = parse_run_path(*w, &paths[n]);
		if (r < 0) {
			free_paths(paths, n);
			return r;
		}
		n++;
	}
	free_paths(s->run_paths, s->n_run_paths);
	s->run_paths = paths;
	s->n_run_paths = n;
	return 0;
}

int value_format_run_paths(const struct settings *s, struct buf *b)
{
	int r = s->n_run_paths ? 0 : buf_append_str(b, "none");

	for (size_t i = 0; r == 0 && i < s->n_run_paths; i++)
		r = buf_printf(b, "%s%s%s", i ? " " : "", s->run_paths[i].path,
			s->run_paths[i].writable ? ":rw" : "");
	return r;
}
