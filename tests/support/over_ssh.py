"""A node that is reached as production nodes are: over SSH, by a user of its own with a key, and sudo with a password."""

from machine import run


def let_in(node, directory):
    """Installs sshd and sudo on the node; returns (address, inventory file). The key is key in directory; root may use it, too."""
    node.run("apt-get", "-q", "update", timeout=120)
    node.run("apt-get", "-q", "-y", "install", "--no-install-recommends", "openssh-server", "sudo", timeout=300)
    node.run("useradd", "--create-home", "--shell", "/bin/sh", "ops")
    node.run("chpasswd", input="ops:secret\n")
    node.path("/etc/sudoers.d/ops").write_text("ops ALL=(ALL) ALL\n")
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / "key"])
    public = (directory / "key.pub").read_text()
    for home, user in (("/home/ops", "ops"), ("/root", "root")):
        node.run("install", "-d", "-m", "700", f"{home}/.ssh")
        node.path(f"{home}/.ssh/authorized_keys").write_text(public)
        node.run("chown", "-R", f"{user}:", f"{home}/.ssh")
    node.run("systemctl", "start", "ssh")
    address = node.run("hostname", "-I").stdout.split()[0]
    inventory = directory / "inventory.ini"
    inventory.write_text(
        f"[k8s_nodes]\nover-ssh ansible_host={address}\n[k8s_nodes:vars]\nansible_user=ops\n"
        f"ansible_ssh_private_key_file={directory}/key\nansible_become_password=secret\n"
        f"ansible_ssh_common_args='-o UserKnownHostsFile={directory}/hosts -o StrictHostKeyChecking=accept-new'\n"
    )
    return address, inventory
