"""A Debian root whose own systemd is process 1: in namespaces and a control group of its own, as a container is
(https://systemd.io/CONTAINER_INTERFACE/), so that units run as they do on a machine."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")  # ours: none that is made could be used on a file system mounted without
GROUP_MOUNT = 'mount -t cgroup2 -o nosuid,nodev,noexec cgroup "$root/sys/fs/cgroup"'

# $1 the root, $2 the name of its control group. The group is entered first: its namespace shows what is below it alone.
MOUNTS = f"""
set -eu
root=$1
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs "$root/sys"
for folder in run tmp dev; do mount -t tmpfs -o nosuid,mode=755 tmpfs "$root/$folder"; done
chmod 1777 "$root/tmp"
for name in {' '.join(DEVICES)}; do : >"$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
{GROUP_MOUNT}
mkdir "$root/sys/fs/cgroup/$2"
echo 0 >"$root/sys/fs/cgroup/$2/cgroup.procs"
exec unshare --cgroup sh -c "$3" sh "$root"
"""
PROCESS_1 = f"""
set -eu
root=$1
umount "$root/sys/fs/cgroup"
{GROUP_MOUNT}
mkdir -p "$root/mnt/old"
cd "$root"
pivot_root . mnt/old
cd /
umount -l mnt/old
exec env -i container=other PATH={ENVIRONMENT["PATH"]} /lib/systemd/systemd --log-target=console --unit=multi-user.target
"""
LEAVE_NO_GROUP = f"""
root=$1
mount -t tmpfs tmpfs "$root/sys" && mkdir -p "$root/sys/fs/cgroup" && {GROUP_MOUNT} &&
find "$root/sys/fs/cgroup/$2" -depth -type d -exec rmdir {{}} +
"""
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")


class Booted:
    """Its network is the machine's, or one of its own with nothing but a loopback."""

    def __init__(self, path, own_network=False):
        self.path, self.group = pathlib.Path(path), f"tutti-{path.parent.name}-{time.monotonic_ns()}"
        self.log = open(self.path.parent / "systemd.log", "ab")
        network = ["--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"] if own_network else []
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--propagation=private", *network,
             "sh", "-c", MOUNTS, "sh", str(self.path), self.group, PROCESS_1], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 120
        while self.state() not in ("running", "degraded"):
            if self.process.poll() is not None:
                self.stop()
                pytest.skip("systemd can't be process 1 of a container here: " +
                            " | ".join((self.path.parent / "systemd.log").read_text().splitlines()[-3:]))
            assert time.monotonic() < deadline, (self.path.parent / "systemd.log").read_text()[-3000:]
            time.sleep(0.1)

    @property
    def pid(self):
        """Of its process 1, as seen from here; None before it is there, and after its end."""
        if self.process.poll() is not None:
            return None
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def state(self):
        up = self.pid is not None and pathlib.Path(f"/proc/{self.pid}/comm").read_text() == "systemd\n"
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() if up else "offline"

    def command(self, *arguments):
        return ["nsenter", f"--target={self.pid}", *NAMESPACES, "--root", "--wd", *arguments]

    def run(self, *arguments, check=True, **options):
        done = subprocess.run(self.command(*arguments), text=True, capture_output=True, timeout=300, env=ENVIRONMENT,
                              **options)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-1500:]}\n{done.stderr[-1500:]}"
        return done

    def at(self, path):
        """A file of it, as its processes see it."""
        return pathlib.Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def stop(self):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)  # with it goes all that is in its namespace
        self.process.wait(60)
        self.log.close()
        subprocess.run(["unshare", "--mount", "--propagation=private", "sh", "-c", LEAVE_NO_GROUP, "sh", str(self.path), self.group],
                       check=False, capture_output=True, timeout=30)
