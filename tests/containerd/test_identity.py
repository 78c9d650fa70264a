"""A user by name, through CRI: the annotation reaches the shim, exec is the same user."""

import pytest

from cri import CriError

pytestmark = pytest.mark.submission("a name must mean one user, in the container and in its execs")

NAME = "reaper-test-alice"
WHO = ["/bin/sh", "-c", 'echo "$(id -u) $(id -g) $(id -G) $HOME $USER"']


@pytest.fixture
def user(node):
    node.run("groupadd", "--gid", "41044", f"{NAME}-video")
    node.run("useradd", "--uid", "41001", "--user-group", "--groups", f"{NAME}-video", NAME)
    yield NAME
    node.run("userdel", NAME)
    node.run("groupdel", f"{NAME}-video")


def test_a_container_and_its_execs_are_the_user_that_the_annotation_names(node, pods, user):
    pod = pods.sandbox(annotations={"reaper.runtime/user": user})
    expected = f"41001 41001 41001 41044 /home/{user} {user}\n"
    assert pod.run(*WHO) == (0, expected)
    container = pod.start("/bin/sleep", "600")
    assert pod.exec(container, *WHO) == (0, expected, "")


def test_the_annotation_gives_no_other_user_than_runAsUser(node, pods, user):
    pod = pods.sandbox(annotations={"reaper.runtime/user": user})
    with pytest.raises(CriError, match="the pod's spec says user 1000"):
        pod.start("/bin/true", security={"run_as_user": {"value": 1000}})
    assert pod.run(*WHO, security={"run_as_user": {"value": 41001}})[0] == 0


def test_an_unknown_user_is_an_error_of_the_start(node, pods):
    pod = pods.sandbox(annotations={"reaper.runtime/user": "no-such-user"})
    with pytest.raises(CriError, match="no-such-user: this node knows no user of this name"):
        pod.start("/bin/true")
