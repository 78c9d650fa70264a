#include "conf/former.h"

#include "base/macro.h"
#include "base/str.h"
#include "conf/reaper_conf.h"

static const struct conf_former_info table[] = {
	{"REAPER_CONFIG",
		"the settings are in " CONF_PATH ": put them there, or make that a symbolic link",
		true, CONF_PATH},
	{"REAPER_NO_OVERLAY", "workloads never write to the host: remove it", true, NULL},
	{"REAPER_SHIM_LOG", "what the shim says is in containerd's log", false, NULL},
	{"REAPER_RUNTIME_LOG", "what the runtime says is in containerd's log", false, NULL},
	{"REAPER_RUNTIME_ROOT", "what is known of a container is kept in its bundle", false, NULL},
	{"REAPER_RUNTIME_PATH", "the runtime is the one that was installed with the shim", false,
		NULL},
	{"REAPER_OVERLAY_NS", "the groups' mount namespaces are below /run/reaper/ns", false, NULL},
	{"REAPER_OVERLAY_LOCK", "the lock is /run/reaper itself", false, NULL},
	{"REAPER_FILTER_DIR", "hidden paths need no placeholder files", false, NULL},
};

const struct conf_former_info *conf_former_info(size_t i)
{
	return i < ARRAY_LEN(table) ? &table[i] : NULL;
}

const struct conf_former_info *conf_former_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (str_eq(table[i].name, name))
			return &table[i];
	}
	return NULL;
}
