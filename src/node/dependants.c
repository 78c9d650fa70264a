#include "node/dependants.h"

#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "cli/child.h"

enum { ASK_TIMEOUT_S = 30, START_TIMEOUT_S = 90 };

/* What `systemctl` with these words prints, as lines; NULL if it fails. */
static char **ask(char *const *words)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	_cleanup_free_ char *systemctl = NULL;
	struct child_spec spec = {.argv = words, .timeout_s = ASK_TIMEOUT_S};
	char **lines = NULL;

	if (child_find("systemctl", &systemctl, NULL) < 0)
		return NULL;
	spec.path = systemctl;
	if (child_must(&spec, &res, NULL) < 0 || !res.out.data ||
		strv_split(&lines, res.out.data, " \n") < 0)
		return strv_free(lines);
	return lines;
}

static bool is_active(char *unit)
{
	char *words[] = {(char *)"systemctl", (char *)"show", (char *)"--property=ActiveState",
		(char *)"--value", (char *)"--", unit, NULL};
	_cleanup_strv_ char **state = ask(words);

	return state && (str_eq(state[0], "active") || str_eq(state[0], "activating") ||
				str_eq(state[0], "reloading"));
}

char **dependants_active(const struct daemon *d)
{
	char *words[] = {(char *)"systemctl", (char *)"show",
		(char *)"--property=RequiredBy,BoundBy,ConsistsOf", (char *)"--value", (char *)"--",
		d->unit, NULL};
	_cleanup_strv_ char **units = NULL;
	char **active = NULL;

	if (!d->systemd)
		return NULL;
	units = ask(words);
	for (char **u = units; u && *u; u++) {
		/* targets and slices come and go with what is in them */
		if (str_has_suffix(*u, ".service") && !strv_has(active, *u) && is_active(*u) &&
			strv_append(&active, *u) < 0)
			break;
	}
	return active;
}

void dependants_start(char *const *units, struct report *rep)
{
	for (char *const *u = units; u && *u; u++) {
		char *words[] = {(char *)"systemctl", (char *)"start", (char *)"--", *u, NULL};
		_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
		struct child_spec spec = {.argv = words, .timeout_s = START_TIMEOUT_S};
		_cleanup_free_ char *systemctl = NULL;
		struct err err = ERR_INIT;

		if (is_active(*u))
			continue;
		if (child_find("systemctl", &systemctl, &err) == 0) {
			spec.path = systemctl;
			if (child_must(&spec, &res, &err) == 0) {
				report_note(rep,
					"%s had stopped with containerd and was started again", *u);
				continue;
			}
		}
		report_note(rep, "%s stopped with containerd and could not be started again: %s",
			*u, err.text);
	}
}
