/*
 * `reaperctl package`: what the scripts of the deb and the rpm do, once for both formats. A script
 * only says which moment it is; whether containerd may be touched then, and what a failure means
 * for the package manager, is decided here.
 *
 * Sources: Debian policy chapter 6 and §9.3.3.2 (policy-rc.d), dpkg's calls of maintainer scripts,
 * Fedora's scriptlet rules.
 */
#pragma once

#include "cli/cli.h"

/*
 * After the files are there: adds the runtime to containerd's configuration. Nothing is done, and
 * said, inside a Reaper view, with REAPER_CONTAINERD_MERGE=no, and while containerd is itself being
 * installed (its trigger comes later). A merge that is refused leaves the package installed: exit
 * status 0 and what to do; 1 only if the old configuration could not be given back.
 */
int package_configure(const struct cli_args *args);

/* Something of containerd changed: as configure, but no configuration file is made where there is
 * none, for containerd may be on its way out. */
int package_triggered(const struct cli_args *args);

/*
 * Before the files go: takes the runtime out, and the overlays with it. Refused with exit status 1
 * while pods of Reaper run, or when the file cannot be given back; REAPER_FORCE_REMOVE=1 goes on.
 */
int package_remove(const struct cli_args *args);

/* As remove, for the sake of another package: never in its way. */
int package_deconfigure(const struct cli_args *args);
