"""Many containers, one after the other and at once, with containerd restarted under them: nothing is
lost and nothing stays. The census around each test is the second half of every assertion here."""

import random
import re
import threading

import pytest

from waiting import until


def status_of(machine, name):
    for line in machine.ctr("tasks", "ls").stdout.splitlines():
        fields = line.split()
        if fields and fields[0] == name:
            return fields[2]
    return None


def end(machine, name, want):
    """Waits for the exit, deletes, and compares the exit code with what the command said."""
    until(lambda: status_of(machine, name) == "STOPPED", what=f"{name} ends")
    result = machine.ctr("tasks", "delete", name, check=False)
    said = re.search(r"exit code (\d+)", result.stderr)
    got = int(said.group(1)) if said else result.returncode
    machine.ctr("containers", "rm", name)
    assert got == want, f"{name}: {got} instead of {want}"


def run_pods(machine, seed, pods, restart_every):
    """`pods` detached tasks of random length and exit code, containerd restarted in between."""
    dice = random.Random(seed)
    running = {}
    for number in range(pods):
        name, code = f"e{number}", dice.randrange(0, 200)
        pause = dice.choice(["", "sleep 0.05; ", "sleep 0.5; ", "sleep 2; "])
        machine.ctr_run(name, "/bin/sh", "-c", f"{pause}exit {code}", flags=["--detach", "--null-io"])
        running[name] = code
        if dice.random() < 0.3:
            machine.ctr("tasks", "exec", "--exec-id", "x", name, "/bin/true", check=False)
        if number % restart_every == restart_every - 1:
            if hasattr(machine, "suite"):  # systemd counts restarts, and refuses the sixth within ten seconds
                machine.run("systemctl", "reset-failed", "containerd", check=False)
            machine.restart_containerd()
        while len(running) > 8:
            name = dice.choice(sorted(running))
            end(machine, name, running.pop(name))
    for name, code in running.items():
        end(machine, name, code)


@pytest.mark.submission("the short form of the endurance run, a few seconds")
def test_exit_codes_survive_restarts_of_containerd(checked):
    run_pods(checked("bookworm"), seed=1, pods=12, restart_every=5)


@pytest.mark.full("a minute for each version")
@pytest.mark.parametrize("seed", [2, 3])
def test_a_hundred_tasks_and_ten_restarts(anywhere, seed):
    run_pods(anywhere, seed=seed, pods=100, restart_every=10)


@pytest.mark.full("twenty at once need quiet machines")
def test_twenty_start_at_once_on_a_fresh_node(anywhere):
    anywhere.reaperctl("overlay", "gc", "--all", check=False)
    results = {}

    def one(number):
        results[number] = anywhere.ctr_run(
            f"at-once{number}", "/bin/sh", "-c", f"echo {number} > /etc/at-once-{number}; exit {number}",
            flags=["--rm"], check=False,
        ).returncode  # fmt: skip

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: number for number in range(20)}
    # all of them wrote to the one upper layer of the node
    seen = anywhere.ctr_run("look", "/bin/sh", "-c", "ls /etc | grep -c ^at-once-", flags=["--rm"]).stdout
    assert int(seen) == 20
    assert not list(anywhere.path("/etc").glob("at-once-*"))


@pytest.mark.soak("two thousand pods take half an hour")
def test_two_thousand_tasks(checked):
    run_pods(checked("trixie"), seed=4, pods=2000, restart_every=100)
