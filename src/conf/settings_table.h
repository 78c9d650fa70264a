/*
 * Every key of /etc/reaper/reaper.conf. A new one is a row here, a member of struct settings, and
 * the two functions that the row names: text to data (value_parse_NAME) and back
 * (value_format_NAME). Its line in packaging/common/reaper.conf is held to this table by a
 * test; docs/CONFIGURATION.md is made from it.
 *
 *   X(KEY, NAME, key in the file, default as it would be written, what is allowed, one sentence,
 *     when a change counts)
 */
#pragma once

/* clang-format off */
#define SETTINGS(X) \
	X(OVERLAY_BASE, overlay_base, "REAPER_OVERLAY_BASE", "/run/reaper/overlay", \
		"an absolute path of at least three levels without . and ..", \
		"Directory below which the workloads' writes are kept, on a tmpfs of its own.", \
		SETTING_AT_GROUP) \
	X(OVERLAY_ISOLATION, isolation, "REAPER_OVERLAY_ISOLATION", "node", \
		"node, namespace or pod", \
		"Which workloads see each other's writes: all of the node, of a Kubernetes " \
		"namespace, or of a pod.", \
		SETTING_AT_CONTAINER) \
	X(OVERLAY_TRUST, trust, "REAPER_OVERLAY_TRUST", "shared", \
		"shared or separate", \
		"Whether containers with more than the default capabilities, or in the host's pid " \
		"namespace, share the others' upper layer or get one of their own.", \
		SETTING_AT_CONTAINER) \
	X(UPPER_SIZE, upper_size, "REAPER_UPPER_SIZE", "10%", \
		"bytes with K, M, G or T (at least 1M), or 1% to 90% of the memory", \
		"How much the workloads of one group may write in all.", \
		SETTING_AT_GROUP) \
	X(UPPER_INODES, upper_inodes, "REAPER_UPPER_INODES", "auto", \
		"auto, or 1024 to 1000000000", \
		"How many files the workloads of one group may write in all.", \
		SETTING_AT_GROUP) \
	X(UPPER_BASE, upper_base, "REAPER_UPPER_BASE", "auto", \
		"auto, none, or an absolute path of at least two levels without . and ..", \
		"Where the workloads' writes lie. auto: what is a pod's own on the disk, as its " \
		"containers' writable layers, the rest in memory. none: in memory. Else the mount " \
		"point of a local disk, whose size is then their limit.", \
		SETTING_AT_GROUP) \
	X(UPPER_BOOT, upper_boot, "REAPER_UPPER_BOOT", "reset", \
		"reset or keep", \
		"What a reboot does to the writes on REAPER_UPPER_BASE; a pod's own never outlive it.", \
		SETTING_AT_GROUP) \
	X(RUN_PATHS, run_paths, "REAPER_RUN_PATHS", \
		"/run/systemd/resolve /run/resolvconf /run/NetworkManager/resolv.conf " \
		"/run/NetworkManager/no-stub-resolv.conf /run/netconfig /run/nscd /run/munge", \
		"none, or a list of paths below /run, each with :ro (default) or :rw; '+' in front " \
		"adds the list to the default", \
		"What of the host's /run appears in the workloads' private /run, if it exists.", \
		SETTING_AT_CONTAINER) \
	X(DNS_MODE, dns_mode, "REAPER_DNS_MODE", "kubernetes", \
		"kubernetes (or k8s), or host", \
		"Whose /etc/resolv.conf workloads see: the one that follows from the pod's " \
		"dnsPolicy, or the host's.", \
		SETTING_AT_CONTAINER) \
	X(SUBMOUNTS, submounts, "REAPER_SUBMOUNTS", "none", \
		"none, or a list of PATH=ACTION and FSTYPE=ACTION; ACTION is layer, bind or omit; " \
		"PATH is absolute and not below /dev, /proc, /run or /sys; FSTYPE may end in *", \
		"What the view shows of mounts of the host, where the built-in rules do not fit.", \
		SETTING_AT_CONTAINER) \
	X(PASSTHROUGH, passthrough, "REAPER_PASSTHROUGH", "/var/lib/sss/pipes", \
		"none, or a list of absolute paths with * ? and [], not below /dev, /proc, /run or " \
		"/sys; '+' in front adds the list to the default", \
		"Sockets, FIFOs and directories of such that are the host's own in the view.", \
		SETTING_AT_CONTAINER) \
	X(STALE, stale, "REAPER_STALE", "bind", \
		"bind, warn or refuse", \
		"What to do with a file that the host replaced while a running pod holds it open.", \
		SETTING_AT_CONTAINER) \
	X(FILTER_ENABLED, filter_enabled, "REAPER_FILTER_ENABLED", "true", \
		"true or false (also yes, no, on, off, 1, 0)", \
		"Whether the host's secrets do not exist in the view (docs/SECURITY.md has the list).", \
		SETTING_AT_GROUP) \
	X(FILTER_MODE, filter_mode, "REAPER_FILTER_MODE", "append", \
		"append or replace", \
		"Whether REAPER_FILTER_PATHS comes to the built-in list or takes its place.", \
		SETTING_AT_GROUP) \
	X(FILTER_PATHS, filter_paths, "REAPER_FILTER_PATHS", "none", \
		"none, or a list of absolute paths with * ? and [], separated by ':' or blanks", \
		"What else does not exist in the view.", \
		SETTING_AT_GROUP) \
	X(FILTER_ALLOWLIST, filter_allowlist, "REAPER_FILTER_ALLOWLIST", "none", \
		"none, or a list of absolute paths with * ? and [], separated by ':' or blanks", \
		"What is not hidden, though a path of the lists is it or lies above it.", \
		SETTING_AT_GROUP) \
	X(HOST_NAMESPACES, namespaces, "REAPER_HOST_NAMESPACES", "none", \
		"none, or a list of pid, ipc, uts and net", \
		"Namespaces in which all pods get the host's, whatever they ask for.", \
		SETTING_AT_POD) \
	X(ANNOTATIONS, annotations, "REAPER_ANNOTATIONS_ENABLED", "true", \
		"true or false (also yes, no, on, off, 1, 0)", \
		"Whether pods may have reaper.runtime/ annotations; if not, one that has any is " \
		"refused.", \
		SETTING_AT_CONTAINER) \
	X(CONTAINERD_MERGE, merge, "REAPER_CONTAINERD_MERGE", "auto", \
		"auto or no", \
		"Whether installing the package adds the runtime to containerd's configuration.", \
		SETTING_AT_COMMAND) \
	X(LOG_LEVEL, level, "REAPER_LOG_LEVEL", "info", \
		"error, warn, info or debug", \
		"How much is logged.", \
		SETTING_AT_POD) \
	X(EXIT_GRACE, exit_grace, "REAPER_EXIT_GRACE", "0", \
		"a time in ms or s (a bare number: seconds), at most 60s", \
		"How long processes that outlive the container's first one have after SIGTERM.", \
		SETTING_AT_POD) \
	X(HISTORY, history, "REAPER_HISTORY", "full", \
		"none, program or full", \
		"What is kept of each start, exit, refusal and exec: nothing, all but the arguments " \
		"of the program, or everything with known secrets masked.", \
		SETTING_AT_CONTAINER) \
	X(HISTORY_FILE, history_file, "REAPER_HISTORY_FILE", "/var/log/reaper/history.jsonl", \
		"none, or an absolute path of at least three levels without . and ..", \
		"File of the history, beside the journal; its directory is made and is root's alone.", \
		SETTING_AT_CONTAINER) \
	X(HISTORY_SIZE, history_size, "REAPER_HISTORY_SIZE", "16M", \
		"bytes with K, M or G, from 64K to 1G", \
		"Size at which a new file is begun; one older file is kept.", \
		SETTING_AT_CONTAINER)
/* clang-format on */
