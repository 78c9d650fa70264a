#include "operate/policy_pod.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/str.h"
#include "conf/settings.h"
#include "confine/caps.h"
#include "groups/groups.h"

enum { CONTAINERS_MAX = 1024, WORDS_MAX = 65536 };

static int add_cap(uint64_t *set, const char *name, struct err *err)
{
	char full[64];

	if (str_eq(name, "ALL")) {
		*set = UINT64_MAX;
		return 0;
	}
	if (str_has_prefix(name, "CAP_"))
		return confine_caps_add(set, name, err);
	if (strlen(name) > sizeof(full) - sizeof("CAP_"))
		return err_setf(err, ERR_INVALID, EINVAL, "capability %.100s: unknown here", name);
	(void)snprintf(full, sizeof(full), "CAP_%s", name);
	return confine_caps_add(set, full, err);
}

static int add_caps(const struct json_ref *caps, const char *key, uint64_t *set, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int r = json_get_strv(caps, key, CONTAINERS_MAX, &names, err);

	for (size_t i = 0; r >= 0 && names && names[i]; i++)
		r = add_cap(set, names[i], err);
	return r;
}

/* securityContext of the container, over what the pod's says of the user. */
static int security(const struct json_ref *container, struct policy_subject *s, struct err *err)
{
	const char *const *defaults = groups_default_caps();
	uint64_t add = 0, drop = 0;
	struct json_ref context, caps;
	uint32_t uid = s->uid;
	int r = 0;

	for (size_t i = 0; r == 0 && defaults[i]; i++)
		r = confine_caps_add(&s->caps, defaults[i], err);
	if (r < 0)
		return r;
	r = json_get_object(container, "securityContext", &context, err);
	if (r <= 0)
		return r;
	r = json_get_bool(&context, "privileged", &s->privileged, err);
	if (r >= 0)
		r = json_get_u32(&context, "runAsUser", &uid, err);
	s->uid = uid;
	if (r >= 0)
		r = json_get_object(&context, "capabilities", &caps, err);
	if (r > 0)
		r = add_caps(&caps, "add", &add, err);
	if (r > 0 || (r == 0 && json_has(&context, "capabilities")))
		r = add_caps(&caps, "drop", &drop, err);
	s->caps = s->privileged ? UINT64_MAX : (s->caps & ~drop) | add;
	return r;
}

static int each_container(const struct json_ref *spec, const char *list,
	const struct policy_subject *pod,
	void (*tell)(void *arg, const char *name, const struct policy_subject *subject), void *arg,
	struct err *err)
{
	struct json_ref array;
	size_t n = 0;
	int r = json_get_array(spec, list, CONTAINERS_MAX, &array, &n, err);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		_cleanup_strv_ char **command = NULL, **words = NULL;
		_cleanup_free_ char *name = NULL;
		struct policy_subject s = *pod;
		struct json_ref container;

		r = json_element_object(&array, i, &container, err);
		if (r == 0)
			r = json_get_str(&container, "name", &name, err);
		if (r >= 0)
			r = json_get_strv(&container, "command", WORDS_MAX, &command, err);
		if (r >= 0)
			r = json_get_strv(&container, "args", WORDS_MAX, &words, err);
		if (r >= 0)
			r = security(&container, &s, err);
		if (r < 0)
			break;
		s.command = command ? command[0] : words ? words[0] : NULL;
		tell(arg, name ? name : "?", &s);
	}
	return r;
}

static int namespaces_of(const struct json_ref *spec, struct policy_subject *s, struct err *err)
{
	static const struct {
		const char *key;
		unsigned bits;
	} keys[] = {
		{"hostPID", POLICY_HOST_PID},
		{"hostIPC", POLICY_HOST_IPC},
		/* the name of the machine comes with its network */
		{"hostNetwork", POLICY_HOST_NETWORK | POLICY_HOST_UTS},
	};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(keys); i++) {
		bool is = false;

		r = json_get_bool(spec, keys[i].key, &is, err);
		if (is)
			s->hosts |= keys[i].bits;
	}
	return r;
}

int policy_pod_each(const struct json_ref *pod,
	void (*tell)(void *arg, const char *name, const struct policy_subject *subject), void *arg,
	struct err *err)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	_cleanup_(settings_done) struct settings settings = SETTINGS_INIT;
	_cleanup_free_ char *ns = NULL, *name = NULL;
	struct json_ref metadata, spec, context;
	struct json_pair *annotations = NULL;
	struct policy_subject s = {.uid = 0};
	size_t n = 0;
	uint32_t uid = 0;
	int r = json_get_object(pod, "metadata", &metadata, err);

	if (r > 0)
		r = json_get_str(&metadata, "namespace", &ns, err);
	if (r >= 0 && json_has(pod, "metadata"))
		r = json_get_str(&metadata, "name", &name, err);
	if (r >= 0 && json_has(pod, "metadata"))
		r = json_get_pairs(&metadata, "annotations", CONTAINERS_MAX, &annotations, &n, err);
	if (r >= 0)
		r = settings_load(NULL, environ, annotations, n, &settings, err);
	json_pairs_free(annotations, n);
	if (r >= 0)
		r = json_get_object(pod, "spec", &spec, err);
	if (r <= 0)
		return r < 0 ? r : json_errorf(pod, err, "a pod has a spec");
	r = namespaces_of(&spec, &s, err);
	if (r >= 0)
		r = json_get_object(&spec, "securityContext", &context, err);
	if (r > 0)
		r = json_get_u32(&context, "runAsUser", &uid, err);
	s.ns = ns ? ns : "default";
	s.pod = name ? name : "";
	s.uid = uid;
	s.scope = settings.isolation;
	s.hosts |= settings.host_namespaces; /* the bits are the same */
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(lists); i++)
		r = each_container(&spec, lists[i], &s, tell, arg, err);
	return r < 0 ? r : 0;
}
