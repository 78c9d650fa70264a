#!/bin/bash
# Starts and stops the virtual machine of ci/vm-image.sh.
#
#   ci/vm.sh start DIR           boot a copy of the disk, files in DIR; waits until it has booted
#   ci/vm.sh ssh DIR COMMAND…    run COMMAND in the machine as root (stdin is passed on)
#   ci/vm.sh port DIR            print the port of 127.0.0.1 that leads to its SSH server
#   ci/vm.sh console DIR         print what it has written to its console
#   ci/vm.sh stop DIR            end it and remove its disk
#
# DIR/ssh_config is for ssh -F and Ansible: the host is called reaper-vm. The machine is emulated
# (tcg, one processor): it works inside virtual machines of every kind, and boots in about a minute.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

boot_limit=1500
command=${1:-}
dir=${2:-}
[ -n "$dir" ] || die "usage: ci/vm.sh start|ssh|port|console|stop DIR"
shift 2

free_port() {
    local port
    for port in $(seq 22022 22121); do
        ss -Hltn "sport = :$port" | grep -q . || {
            echo "$port"
            return 0
        }
    done
    die "no free port between 22022 and 22121"
}

# Follows the console until the line that says the machine is up, or qemu's end. No login is offered there: systemd writes
# nothing more to a console that a getty has, and on a busy machine that was before its last target.
wait_for_boot() {
    local pid=$1 follower console line found=0
    exec {console}< <(exec tail --pid="$pid" -n +1 -F "$dir/console" 2>/dev/null)
    follower=$!
    # a kernel that cannot go on says so, and then nothing more comes
    line=$(timeout "$boot_limit" grep -m1 -a -E 'Reached target.*multi-user|\(initramfs\)|Kernel panic' \
        <&"$console" || true)
    case $line in *"Reached target"*) found=1 ;; esac
    kill "$follower" 2>/dev/null || true
    exec {console}<&-
    [ "$found" = 1 ] || {
        tail -n 30 "$dir/console" >&2
        kill "$pid" 2>/dev/null || true
        die "the machine did not boot within $boot_limit seconds"
    }
}

start() {
    local image port pid
    image=$("$here/vm-image.sh")
    mkdir -p "$dir"
    cp --sparse=always "$image/disk.ext4" "$dir/disk"
    install -m 0600 "$image/id" "$dir/id"
    port=$(free_port)
    echo "$port" >"$dir/port"
    cat >"$dir/ssh_config" <<EOT
Host reaper-vm
    HostName 127.0.0.1
    Port $port
    User root
    IdentityFile $dir/id
    IdentitiesOnly yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
EOT
    : >"$dir/console"
    qemu-system-x86_64 -accel tcg -smp 1 -m 1024 -nodefaults -display none \
        -kernel "$image/vmlinuz" -initrd "$image/initrd.img" \
        -append "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=1 systemd.mask=serial-getty@ttyS0.service apparmor=1 security=apparmor" \
        -drive "file=$dir/disk,format=raw,if=virtio,cache=unsafe" \
        -netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=n \
        -object rng-random,id=r,filename=/dev/urandom -device virtio-rng-pci,rng=r \
        -serial "file:$dir/console" -daemonize -pidfile "$dir/pid" </dev/null
    pid=$(cat "$dir/pid")
    wait_for_boot "$pid"
}

case $command in
start) start ;;
ssh) exec ssh -F "$dir/ssh_config" reaper-vm "$@" ;;
port) cat "$dir/port" ;;
console) cat "$dir/console" ;;
stop)
    pid=$(cat "$dir/pid" 2>/dev/null) || exit 0
    if kill "$pid" 2>/dev/null; then
        # its end tells only its parent, and where nobody reaps it stays as a zombie
        while grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$pid/status" 2>/dev/null; do sleep 0.2; done
    fi
    rm -f "$dir/disk" "$dir/pid"
    ;;
*) die "unknown command: $command (known: start, ssh, port, console, stop)" ;;
esac
