"""Package managers of the distribution work inside the view, with the capabilities of a plain pod.

What they write is the group's; the host's tree and its database of packages stay as they are. The packages come from the
mirror that the machine's own apt uses.
"""

import hashlib
import os
import pathlib
import shlex
import shutil
import socket

import pytest

from bench import spec
from running import Running, plain_pod

pytestmark = pytest.mark.full("downloads an index and packages: up to a minute")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def in_host_network():
    linux = spec("x")["linux"]
    linux["namespaces"] = [n for n in linux["namespaces"] if n["type"] != "network"]
    pod = plain_pod()
    pod["process"]["env"] = spec("x")["process"]["env"] + [
        f"{k}={v}" for k, v in os.environ.items() if k.lower() in ("http_proxy", "https_proxy", "no_proxy")
    ]
    return {"linux": linux, **pod}


def host():
    """What an installation that leaks would change."""
    digest = hashlib.sha256(pathlib.Path("/var/lib/dpkg/status").read_bytes()).hexdigest()
    names = {p: sorted(os.listdir(p)) for p in ("/etc", "/usr/sbin", "/usr/bin", "/var/lib/dpkg/info", "/var/lib/apt/lists", "/var/www")
             if os.path.isdir(p)}  # fmt: skip
    return digest, names, pathlib.Path("/etc/shadow").read_bytes(), pathlib.Path("/etc/passwd").read_bytes()


@pytest.fixture
def mirror():
    """apt, and nothing of nginx on the machine; without a mirror there is nothing to be installed."""
    if not shutil.which("apt-get") or os.path.exists("/usr/sbin/nginx"):
        pytest.skip("no apt-get, or nginx is there already")


def test_nginx_is_installed_from_a_mirror_and_serves(bench, mirror):
    before = host()
    port = free_port()
    script = f"""set -e; export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >/tmp/log 2>&1 || {{ cat /tmp/log; exit 1; }}
    apt-get -qq install -y --no-install-recommends nginx >/tmp/log 2>&1 || {{ cat /tmp/log; exit 1; }}
    test ! -e /run/nginx.pid; dpkg-query -W -f '${{Status}}\\n' nginx
    echo 'server {{ listen 127.0.0.1:{port}; location / {{ return 200 served; }} }}' >/etc/nginx/sites-enabled/default
    nginx -q -t; nginx; exec 3<>/dev/tcp/127.0.0.1/{port}
    printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -c 6 <&3; nginx -s stop 2>/dev/null; getent passwd www-data | cut -d: -f1"""
    pod = Running(bench, f"exec bash -c {shlex.quote(script)} 2>&1", **in_host_network())
    # a mirror and a busy machine take longer than any answer of a shim
    pod.container.task.connection.socket.settimeout(600)
    assert pod.end() == "install ok installed\nservedwww-data\n"
    assert host() == before
