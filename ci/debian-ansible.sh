#!/bin/bash
# Makes Ansible as a release of Debian ships it answer on this machine.
#
#   ci/debian-ansible.sh SUITE      (trixie …) prints a directory with its ansible, ansible-playbook and
#                                   ansible-galaxy
#   ci/debian-ansible.sh --delete   remove every such root
#
# They are that release's own, with its Python, in a root of it under $REAPER_CI_STATE/ansible; what they
# see of this machine is the checkout, /tmp, /run, /proc and /dev, in a mount namespace that ends with them.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

if [ "${1:-}" = --delete ]; then
    rm -rf --one-file-system "$REAPER_CI_STATE/ansible"
    exit 0
fi
suite=${1:-}
if [ $# -ne 1 ] || [[ ! $suite =~ ^[a-z]+$ ]]; then
    die "which release of Debian? (trixie …, or --delete)"
fi
# whatever this script makes of it is another root when the script is another
target=$REAPER_CI_STATE/ansible/$suite-$(sha256sum "$here/debian-ansible.sh" | cut -c1-12)
if [ ! -e "$target/complete" ]; then
    need_root
    apt_install mmdebstrap debian-archive-keyring
    state_lock "ansible-$suite"
fi
if [ ! -e "$target/complete" ]; then
    say "building a root of $suite with Ansible (two to three minutes)"
    rm -rf "$target"
    mkdir -p "$target/bin"
    mmdebstrap --quiet --variant=minbase --include=ansible,docker-cli,openssh-client,sshpass "$suite" "$target/root" \
        >"$target/log" 2>&1 </dev/null || {
        tail -n 30 "$target/log" >&2
        die "mmdebstrap failed for $suite"
    }
    cat >"$target/bin/ansible" <<'WRAPPER'
#!/bin/sh
# CHECKOUT is bound, and the current directory stays if it is there, too
here=$(dirname "$(readlink -f "$0")")
exec unshare --mount --propagation private sh -ec '
    root=$1 name=$2 checkout=$3
    shift 3
    mkdir -p "$root$checkout"
    mount --bind "$checkout" "$root$checkout"
    for each in proc dev run tmp; do mount --rbind "/$each" "$root/$each"; done
    export PATH=/usr/bin:/usr/sbin
    exec chroot "$root" "/usr/bin/$name" "$@"' sh "${here%/*}/root" "$(basename "$0")" "${REAPER_CHECKOUT:?}" "$@"
WRAPPER
    chmod 755 "$target/bin/ansible"
    for name in ansible-playbook ansible-galaxy; do ln -s ansible "$target/bin/$name"; done
    touch "$target/complete"
fi
echo "$target/bin"
