/*
 * Every message of an error that Reaper has, by words that stand in it: what it means, and what to
 * do. The first row whose words stand in a text is the text's: the special ones stand before the
 * general ones, and what the kernel says of a failed call stands last.
 * tests/component/test_errors.py finds messages without a row.
 */
#include "base/macro.h"
#include "doctor/errors.h"

/* code, words with a bar between them, cause, remedy */
static const struct error_row rows[] = {
	{.heading = "Command lines"},
	{"usage",
		"(see: | --help)|see reaper-runtime --help|option \"|--interval: must be |no row "
		"for this "
		"text|goes to standard output|is a terminal: name a file",
		"The command line has a word that the command does not take, or misses one.",
		"The named --help has what it takes."},
	{.heading = "The command of a container"},
	{"command-not-found",
		": not found; searched |: not found on this host|: not found, or its interpreter",
		"The program is not on this host: its files count, not those of an image.",
		"Install it on the node, or give its absolute path; the message lists the "
		"directories of PATH that were searched."},
	{"command-permission",
		": permission denied (not executable|: not permitted (set-user-id|: permission "
		"denied: user |: permission denied for user |: is not executable for "
		"user ",
		"The pod's user may not run this file, or not enter a directory on the way to it.",
		"chmod or chown on the host, or another runAsUser."},
	{"command-noexec", "mounted noexec",
		"The program lies on a file system from which nothing may be run.",
		"Move the program, or mount the file system with exec."},
	{"command-format",
		": is a program for |: is a script without a #! line|no program this kernel can "
		"run|: is empty|DOS line endings",
		"The file is executable, but nothing that this kernel can run.",
		"Take the program for this architecture; a script needs a first line with #! and "
		"no DOS line endings."},
	{"command-missing", "there is no command to run",
		"The container has no command, and there is no image here that would have one.",
		"Give it one: command of the pod, args of ctr."},
	{"command-too-large", "arguments and environment are too large",
		"The kernel takes no more: 128 KiB in one word, a quarter of the stack's limit in "
		"all.",
		"Put the long value into a file: a ConfigMap, a Secret."},
	{"command-busy", "is open for writing by somebody",
		"The program is being written just now.",
		"fuser -v on it; install programs by renaming, not by writing over them."},
	{"working-directory", "working directory ",
		"The container's working directory cannot be entered in its view.",
		"Make it on the host, or leave workingDir out."},
	{.heading = "Users"},
	{"user-unknown", "this node knows no user of this name",
		"The annotation reaper.runtime/user names somebody whom this node does not know.",
		"getent passwd NAME on the node has to answer: create the user, or repair the name "
		"service."},
	{"user-conflict", "an annotation gives no other rights",
		"The annotation and runAsUser mean different users.", "Take one of the two out."},
	{"user-lookup", "getent |: a member is missing| groups",
		"The node's name service gave no answer that can be used.",
		"Run the named getent on the node; look at the services in nsswitch.conf."},
	{.heading = "Annotations and policy"},
	{"annotation-upper-size", "reaper.runtime/upper-size",
		"The pod asks for room to write that its group cannot give.",
		"A group of its own (reaper.runtime/overlay-name), a smaller size, or reaperctl "
		"overlay reset, as the message says."},
	{"annotation", "annotation ",
		"The pod has an annotation of Reaper's that is unknown, misspelt or not allowed "
		"here.",
		"Correct or remove it; docs/CONFIGURATION.md has all of them."},
	{"policy-denied", "this node's policy denies ",
		"A rule of the named file and line forbids this.",
		"Change the pod or the rule; reaperctl policy test says what the rules make of a "
		"pod."},
	{"policy-file",
		": not in a rule that says |: no rule has such a key|[force] forces nothing|stands "
		"before the first [allow]|a rule begins with [allow]",
		"A file in /etc/reaper/policy.d cannot be used, and no pod starts with half a "
		"policy.",
		"Correct the named line, then: reaperctl policy check"},
	{"policy-test",
		"; or as JSON: kubectl create|: not tested|no kind, so no pod|only a Pod can be "
		"tested|no pod "
		"with "
		"containers|a pod has a spec",
		"What reaperctl policy test was given is no pod, or YAML that not every reader "
		"takes "
		"for the same.",
		"Correct the named line, or: kubectl create -f POD.yaml --dry-run=client -o json | "
		"reaperctl policy test -"},
	{.heading = "Processes and cgroups"},
	{"cgroup-in-use",
		"processes are in it already|: still has processes|do not end when they are "
		"killed|do not die when killed|does not end, continuing|no process is left",
		"Processes are in a cgroup that should be empty; one in the state D cannot be "
		"killed.",
		"reaperctl doctor names them; see what their disk or network file system waits "
		"for."},
	{"cgroup-path",
		"linux.cgroupsPath|linux.cgroup_parent|: too long below | is no cgroup "
		"directory|not below a mounted cgroup hierarchy|the path of a cgroup is "
		"absolute|there is no cgroup ",
		"The cgroup that kubelet or the caller names is none.",
		"reaperctl doctor: row cgroup-driver; see linux.cgroupsPath of the bundle's "
		"config.json."},
	{"cgroup-missing",
		"has no memory controller|neither cgroup2 nor the v1 freezer|cgroup: controller ",
		"This host has no such controller.",
		"reaperctl doctor: row controllers says what is lost, and how to boot with it."},
	{"frozen", "its cgroup is frozen", "The container is paused.",
		"Resume it first (ctr tasks resume, crictl)."},
	{"hooks",
		"hooks|hook|killed by signal|: nobody waits for it any more|: did not end within ",
		"A hook of the container did not do its work; one that has to is an error of the "
		"start.",
		"Run the named hook by hand; docs/HOOKS.md says which run."},
	{"start-lost",
		"and said nothing|ended before its program ran|before its program ran|the shim is "
		"gone|: gone|unknown message from |speaks another version of the init "
		"contract|first process has ended|ended by a signal",
		"A process of Reaper's ended in the middle of a start: killed, out of memory, or "
		"with its shim.",
		"journalctl -k for the OOM killer; start the pod again."},
	{"not-beside", "not found beside the shim", "The shim cannot find reaper-runtime.",
		"Install the reaper package again."},
	{"not-here",
		"nothing can be run in it| containers are here already| are registered "
		"already|this shim is on its way out|this shim is that of sandbox | updates are "
		"waiting already|it does not take container |its answer is no ttrpc response|shims "
		"come and go there",
		"This pod's shim cannot take the call: it is a sandbox, full, ending, or another "
		"pod's.",
		"containerd asks again; if it stays: delete the pod."},
	{"state",
		": cannot |a process of the host cannot |: failed precondition|already exists|has "
		"just ended|was resumed before it stood still|the container has ended|process was "
		"deleted|process already finished",
		"The call does not go with the state that the container is in. containerd and "
		"kubelet ask again by themselves.",
		"Nothing, unless it stays: then journalctl -u containerd, and "
		"docs/CONFORMANCE.md."},
	{"not-found",
		"exec |in the namespaces |not found on this node|no container and no pod of this "
		"name|: not found|has recorded no container here",
		"Nothing of this name is here.", "reaperctl ps; reaper-runtime list"},
	{"signal", ": there is none of this number", "There is no such signal.", "1 to 64."},
	{"run",
		"another reaper-runtime run is at work|belongs to containerd and is served by a "
		"shim",
		"Somebody else looks after this bundle.",
		"reaper-runtime list; end that one first."},
	{"root-needed", "run this as root", "Bundles, processes and cgroups are root's.", "sudo"},
	{"recorded", "it was written by a newer Reaper|is incomplete or of a newer",
		"A newer version has written a file that this one cannot read.",
		"Install that version again, or end the pods that it started."},
	{"watches", "raise fs.inotify.max_user_instances",
		"This user's programs watch as many files as they may.",
		"sysctl fs.inotify.max_user_instances=1024"},
	{"history-gone", ": its directory is gone",
		"Somebody has removed the directory of the history that is followed.",
		"Again: the next record makes it anew."},
	{"history-off", "REAPER_HISTORY_FILE is none",
		"The history is written to the journal only.", "journalctl -t reaper"},
	{.heading = "Streams and calls"},
	{"logger", "logger |unknown scheme|stdio ",
		"The program or place that is to take the container's output does not.",
		"Run the logger by hand; it has to write a byte to its third descriptor when it is "
		"ready."},
	{"socket-path", "use a shorter socket directory|a socket's path has at most ",
		"The path of a socket is longer than the kernel takes.",
		"A shorter state directory in containerd's configuration."},
	{"ttrpc",
		"undecodable response|the connection was closed before the answer|no answer in "
		"time|response of |connection refused: |connection from pid |method |service "
		"|StreamID|unmarshal request error|exceeds the maximum message size|wait for their "
		"answers already|is no longer active|data on a stream",
		"A call between containerd and a shim went wrong, or somebody else called.",
		"journalctl -u containerd; reaperctl doctor --task"},
	{"identifier",
		"not an identifier|not an absolute path|its name is no identifier|needs a "
		"value|unknown action|no action: this program|--pid: |--stage |must be an absolute "
		"path|Update without resources|no process object|options: no |must be an OCI "
		"LinuxResources",
		"An argument of the call is none that can be.",
		"Correct the call; containerd itself makes none of these."},
	{"systemd", "systemd: |systemd has not answered",
		"systemd, which holds the pod's cgroup, did not do what it was asked.",
		"systemctl status; systemctl reset-failed; the journal of that moment."},
	{.heading = "The host view"},
	{"view-stale", "still has the old file open",
		"REAPER_STALE=refuse: the host has replaced a file of which a running pod holds "
		"the old one.",
		"Restart the pod that holds it; reaperctl overlay refresh names it."},
	{"upper-base", "REAPER_UPPER_BASE| cannot hold the upper layer|no path in it",
		"Where workloads' writes would go is no file system that can take them.",
		"Mount a local file system of its own there, root's with mode 0700."},
	{"no-overlayfs", "this kernel has no overlayfs",
		"The host view is made of overlays, which this kernel does not have.",
		"modprobe overlay"},
	{"submounts", "REAPER_SUBMOUNTS says ",
		"The setting wants an overlay over a file system that cannot be below one.",
		"Another word for that path in REAPER_SUBMOUNTS."},
	{"hidden-paths",
		" paths of this host are to be hidden| of the host is no directory| directories "
		"deep| changes",
		"More of the host matches than can be handled at once.",
		"Narrow REAPER_FILTER_PATHS, or name directories instead of their files."},
	{"group",
		": no such group| is in use; end its pods first|the namespace is no host view of "
		"ours|a mirror was not opened|: "
		"no namespace on it|group key \"",
		"A group of the overlay is not there, is in use, or is not what it was.",
		"reaperctl overlay list; reaperctl overlay gc removes what is incomplete."},
	{"share-mounts", "what it mounts stays private",
		"A note: this kernel cannot show what a container mounts to the others of its "
		"group.",
		"Linux 5.15, or nothing, if nobody needs it."},
	{"procfs",
		"no procfs is mounted there|is another file|mountinfo|mount table: line |: bad "
		"line",
		"/proc or /dev is not what the kernel makes, as in a container with something "
		"mounted over it.",
		"Mount /proc; run containerd outside of such a container."},
	{.heading = "Pods and their specs"},
	{"spec-unsupported",
		"a user is a number here|this runtime knows 1.x|id-mapped mounts are not "
		"supported|: not supported|user namespaces (hostUsers: false)|a host process "
		"cannot be restored|a mount namespace is needed",
		"The pod asks for something that a process of the host cannot have.",
		"Leave it out; docs/COMPATIBILITY.md has the fields of a pod, and what becomes of "
		"each."},
	{"volume-source", "does not exist on the host|what is there on the host is not device ",
		"A volume's source is not there, or something else is.",
		"Make it on the node, or hostPath.type: DirectoryOrCreate."},
	{"mount-point",
		" in the host view, but what is to be there is | would have to be made in |the "
		"root is the host's view|mount point ",
		"The view of the host has nothing, or something else, where a volume is to be "
		"mounted.",
		"Make the directory or file on the host first, or mount at another place."},
	{"mount-option",
		"mount option \"|is no option of a bind mount|recursive mount options need|are not "
		"mounted for pods| has no type|: the source \"",
		"A mount of the pod has an option or a type that it cannot have here.",
		"Take it out of the volume; recursive read-only mounts need Linux 5.12."},
	{"seccomp-profile",
		"SCMP_ACT_NOTIFY|listenerMetadata: needs| has no number| is no errno|seccomp: "
		"|linux.seccomp|seccomp program: ",
		"The pod's seccomp profile cannot be used.",
		"The message names the rule: correct the profile of /var/lib/kubelet/seccomp."},
	{"devices",
		"device rule|device rules|allows a whole class of devices|cannot enforce the pod's "
		"device rules",
		"The kernel cannot keep the pod to the devices that it may open.",
		"Name the devices one by one, make the pod privileged, or boot a kernel with "
		"CONFIG_CGROUP_BPF."},
	{"namespaces",
		"linux.sysctl: |needs a uts namespace|: this file is no namespace|: would change "
		"the node|would be the node's: the pod "
		"has the host's network|would change the host|: not the name of a "
		"sysctl|netns_path: empty",
		"The pod would change what belongs to the whole node, or names a namespace that is "
		"none.",
		"Leave the sysctl or host name out, or give the pod a namespace of its own."},
	{"capabilities",
		"capability |ambient capabilities | is not in permitted, which |containerd itself "
		"does not have it",
		"A capability is unknown, or nobody here could give it.",
		"Correct the name; a containerd in a container of its own has only what that has."},
	{"lsm-label", "AppArmor|SELinux| label: longer than ",
		"The pod wants a profile or label that this node cannot give.",
		"Load the profile (apparmor_parser), or take it out of the pod."},
	{"limits",
		"more than that is in use|does not go with the other limits| is no page "
		"size|linux.resources.|more than that",
		"A limit cannot be set to this value.",
		"Another value, or leave it out where this host's cgroups do not have it."},
	{"process-attributes",
		"rlimit |: unknown|not a list of CPUs below |is above hard (|process.scheduler",
		"A resource limit, a scheduling class or a list of CPUs is none, or has a value "
		"that does not go with the others.",
		"Correct the name or the value in the pod."},
	{.heading = "Administration"},
	{"busy", "has held the lock of ", "Another reaperctl is at work.",
		"Wait for it; --timeout waits longer."},
	{"changed-meanwhile",
		"was changed by somebody else|read again, |is gone|has come into being",
		"A file was edited while reaperctl was at work with it.",
		"See who: a package, Ansible, Chef; then again."},
	{"backup", "has other bytes than it should|old bytes could not be written back",
		"What an undo would give back is not what was kept.",
		"Compare /var/lib/reaper/containerd with /etc/containerd by hand."},
	{"containerd-program",
		"which is no version of containerd| is not active after its restart|containerd "
		"ended|the running containerd |containerd's CRI plugin |with an "
		"error|containerd-shim-reaper-v2 is not installed",
		"The running containerd is not well, or has not what its file says.",
		"journalctl -u containerd -n 50; reaperctl doctor"},
	{"program", "did not end within |: status |no program \"| images ",
		"A program of the node that was asked did not answer, or is not there.",
		"Run the named command by hand."},
	{"package",
		"is left as it is|comes before the package's program|is merged after that|does not "
		"serve reaper-v2 yet|the reason stands above|when it is solved|are gone after a "
		"reboot|still names reaper-v2|removed by force",
		"What dpkg or rpm did with the package, and what it left to be done by a person.",
		"The command or the variable of the message; docs/INSTALL.md says what each step "
		"does."},
	{.heading = "Files and values"},
	{"setting-line",
		"expected KEY=VALUE|opening quote and no closing one|behind the closing quote|a "
		"quote "
		"inside the value|too many assignments|the line is too long|is in the line",
		"A line of reaper.conf or of a rule is not written as KEY=VALUE.",
		"Correct the named line; docs/CONFIGURATION.md and docs/POLICY.md say how."},
	{"json",
		"not JSON: |the text ends in the middle|nested deeper than|a NUL byte is in the "
		"text|out of memory|too much in it: |lines are no records",
		"A text is no JSON, or more of it than is read.",
		"The message has file, line and column; a record that was cut off is one of a full "
		"disk."},
	{"spec-value",
		"expected | is not between |: too large a number| elements, the limit is | "
		"members, the limit is | bytes, the limit is |: not known here|a NUL character is "
		"in |: missing|must be a, b or c|must be some of r, w, m|must be numbers, commas "
		"and ranges|must be a number with KB|must be the name of a cgroup file|not a "
		"namespace of Linux|given twice|must be absolute|must be NAME=VALUE|must be "
		"shared, slave|must be c, b, u or p|none of r, "
		"w, m|process.rlimits: more than | cgroups| cgroup directories|not a plain "
		"absolute path|linux.sysctls: more than |: null",
		"A value in config.json, a pod or a record has another type or range than it may "
		"have.",
		"The message names the place: correct the pod, or whatever has written the file."},
	{"command-interpreter", "is a magic link of /proc|a loop of symbolic links|: its ",
		"The interpreter or loader that the program names is missing, or a path has no "
		"end.",
		"Install what is named, or correct the symbolic link."},
	{"command-file",
		": is a directory|: is no regular file|the runtime's own program cannot be",
		"What is to be run or written is no plain file.",
		"Correct the command; remove what lies where a file is to be written."},
	{"containerd-file",
		"an import is no file name|which does not exist|imports is no array| config dump "
		"says nothing|would take its whole CRI section from it| says no version| imports "
		"no directory| is no regular file|is there and somebody else's|--strategy block "
		"was given|the marker of the reaper block cannot be read|there are two reaper "
		"blocks|the reaper block has no |the runtime would have no effect| would be |does "
		"not exist|, "
		"column ",
		"A configuration file cannot be read as containerd reads it, or not be added to.",
		"Correct the named line, then: reaperctl containerd plan; docs/CONFIG-MERGE.md"},
	{"setting", "\": must be |: already set in line |\": not in this version: ",
		"A setting of reaper.conf, of the environment or of a rule has a value that is not "
		"allowed.",
		"Correct the named file and line; docs/CONFIGURATION.md has what is allowed."},
	{"layout", "remove it, Reaper makes it anew|remove it|is renamed all the time",
		"Something else lies where Reaper keeps its own.", "Remove it; it is made anew."},
	{"file-owner", ": belongs to uid | may write it: chmod ",
		"A file that decides about the node belongs to somebody else than root, or others "
		"may write it.",
		"The chown or chmod of the message."},
	{"file-too-large", "larger than the limit of |: larger than |: more than ",
		"A file is larger than what is read of it.",
		"Look at what has been written there."},
	{.heading = "What the kernel said"},
	{"ENOSPC", "No space left on device", "The file system is full, or has no inodes left.",
		"reaperctl doctor: rows run-room, disk-room, upper-room"},
	{"EDQUOT", "Disk quota exceeded", "The quota of the group or the user is used up.",
		"reaperctl overlay show; REAPER_UPPER_SIZE"},
	{"ENOMEM", "Cannot allocate memory|out of memory",
		"There is no memory left, or a limit of the kernel's is reached.",
		"free -m; the limits of the cgroup and of user.max_mnt_namespaces"},
	{"EMFILE", "Too many open files", "A limit of open files is reached.",
		"LimitNOFILE= of containerd's unit; fs.file-max"},
	{"EAGAIN", "Resource temporarily unavailable",
		"A limit of processes or threads is reached.",
		"pids.max of the cgroup, kernel.pid_max, TasksMax= of containerd's unit"},
	{"EPERM", "Operation not permitted",
		"The kernel refuses this to the caller: rights, a filter, or a security module.",
		"As root; outside of a container; reaperctl doctor: row denials"},
	{"EACCES", "Permission denied",
		"The rights of a file or directory, or a security module, do not allow it.",
		"ls -ld along the path; reaperctl doctor: row denials"},
	{"ENOENT", "No such file or directory", "A file or directory that is named is not there.",
		"Make it, or correct the name."},
	{"EEXIST", "File exists", "Something is there already.", "Remove it if it is nobody's."},
	{"ESRCH", "No such process", "The process has ended meanwhile.",
		"Nothing, unless it stays."},
	{"EBUSY", "Device or resource busy", "Somebody is using it.",
		"fuser -vm on the path; then again"},
	{"EROFS", "Read-only file system",
		"The file system is mounted read-only, perhaps after an error of the disk.",
		"dmesg; mount -o remount,rw"},
	{"EIO", "Input/output error", "The disk or the network file system failed.", "dmesg"},
	{"EINVAL", "Invalid argument",
		"The kernel does not take the value, or does not know the flag.",
		"reaperctl doctor: the rows of the kernel's features"},
	{"ENOSYS", "Function not implemented|Operation not supported",
		"The kernel or the file system cannot do it, or a seccomp filter hides the call.",
		"reaperctl doctor: the rows of the kernel's features"},
	{"ENODEV", "No such device", "The kernel has no such file system or device.",
		"modprobe, or a kernel that has it"},
	{"ENOTDIR", "Not a directory|Is a directory",
		"A path has something else where a directory or a file should be.",
		"Correct the path."},
	{"ELOOP", "Too many levels of symbolic links",
		"Symbolic links go in a circle, or one stands where none may.",
		"Correct the link."},
	{"EXDEV", "Invalid cross-device link",
		"A path leads out of the place that it has to stay in.",
		"Look for symbolic links and mounts on its way."},
	{"ENAMETOOLONG", "File name too long", "A path is longer than the kernel takes.",
		"A shorter name, or a directory nearer to the root."},
	{"ENOTEMPTY", "Directory not empty", "Something is in a directory that should be empty.",
		"Look what it is; reaperctl doctor: the rows of the class left"},
	{"EPIPE", "Broken pipe|Connection reset by peer",
		"The other side of a stream or socket is gone.",
		"See why it ended: its log, journalctl -k."},
	{"ESTALE", "Stale file handle", "The file on a network file system is not there any more.",
		"Mount it again; restart the pods that hold it."},
	{"ETXTBSY", "Text file busy", "Somebody has the program open for writing.",
		"fuser -v on it; install programs by renaming, not by writing over them."},
	{"EFBIG", "File too large|Value too large for defined data type",
		"A file, or a number in it, is larger than can be handled.",
		"Look at what has been written there; ulimit -f"},
	{"ENXIO", "No such device or address",
		"Nobody is at the other end of a FIFO, or a device is not there.",
		"See whether the reader of the stream runs."},
	{"EADDRINUSE", "Address already in use", "Somebody listens on the socket's path.",
		"ss -xlp shows who."},
	{"ETIMEDOUT", "Connection timed out", "Nobody answered in time.",
		"See whether the one who was asked runs, and what it waits for."},
	{"ECONNREFUSED", "Connection refused", "Nobody listens on the socket.",
		"systemctl status of the one who should"},
};

const struct error_row *errors_table(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(rows);
	return rows;
}
