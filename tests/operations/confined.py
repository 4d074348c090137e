#!/usr/bin/env python3
"""Runs a program in another root the way systemd would run it by a unit, as far as can be done without systemd as
process 1: the unit's user, no capabilities, no new privileges, a read-only root with the state directory writable, an
own /tmp and a bare /dev, and the unit's filters of system calls, socket families, namespaces and executable memory.

    unshare --mount --pid --fork confined.py ROOT UNIT COMMAND…

Not imitated: user namespaces (PrivateUsers=), the rest of ProtectKernel…=, which hide more of /proc and /sys.
"""
import ctypes
import errno
import os
import pathlib
import re
import subprocess
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EQUAL, MASKED_EQUAL = 4, 7  # enum scmp_compare
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16, "AF_PACKET": 17}
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
PROT_WRITE, PROT_EXEC = 2, 4


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("first", ctypes.c_uint64),
                ("second", ctypes.c_uint64)]


seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
libc = ctypes.CDLL(None, use_errno=True)


def read_unit(path):
    """The [Service] section, each key with all its values."""
    values = {}
    for line in pathlib.Path(path).read_text().splitlines():
        if re.match(r"[A-Za-z]+=", line):
            key, value = line.split("=", 1)
            values.setdefault(key, []).append(value)
    return values


def expand(name):
    """The system calls of a name or a group, as this machine's systemd knows them."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name], check=True, capture_output=True,
                          text=True).stdout
    members = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*(expand(member) for member in members))


def allowed_calls(unit):
    calls = set()
    for line in unit.get("SystemCallFilter", []):
        names = set().union(*(expand(name) for name in line.lstrip("~").split()))
        calls = calls - names if line.startswith("~") else calls | names
    return calls | expand("@default") | {"execve"}


class Filter:
    def __init__(self, default):
        self.context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action, call, *comparisons):
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        rules = (Comparison * len(comparisons))(*(Comparison(*one) for one in comparisons))
        if number >= 0:
            assert seccomp.seccomp_rule_add_array(self.context, ctypes.c_uint32(action), number, len(rules), rules) == 0, call

    def load(self):
        assert seccomp.seccomp_load(self.context) == 0


def filters(unit):
    calls = Filter(ERRNO | errno.EPERM)
    for call in sorted(allowed_calls(unit)):
        calls.add(ALLOW, call)
    others = Filter(ALLOW)
    for family in range(45):
        if family not in [FAMILIES[name] for name in unit["RestrictAddressFamilies"][0].split()]:
            others.add(ERRNO | errno.EAFNOSUPPORT, "socket", (0, EQUAL, family, 0))
    if unit.get("RestrictNamespaces") == ["yes"]:
        for flag in NAMESPACES:
            for call in ("clone", "unshare"):
                others.add(ERRNO | errno.EPERM, call, (0, MASKED_EQUAL, flag, flag))
        others.add(ERRNO | errno.EPERM, "setns")
        others.add(ERRNO | errno.ENOSYS, "clone3")
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        both = PROT_WRITE | PROT_EXEC
        others.add(ERRNO | errno.EPERM, "mmap", (2, MASKED_EQUAL, both, both))
        others.add(ERRNO | errno.EPERM, "mprotect", (2, MASKED_EQUAL, PROT_EXEC, PROT_EXEC))
    return [others, calls]


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def enter(root, state):
    """The root read-only, with what a service needs of its own."""
    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    mount("-o", "remount,bind,ro", root)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/tmp")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{root}/dev")
    for device in ("null", "zero", "full", "random", "urandom"):
        pathlib.Path(f"{root}/dev/{device}").touch()
        mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
    mount("--bind", f"{root}{state}", f"{root}{state}")
    mount("-o", "remount,bind,rw", f"{root}{state}")
    os.chroot(root)
    os.chdir("/")


def user_of(root, name):
    for line in pathlib.Path(f"{root}/etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2]), int(fields[3])
    raise KeyError(name)


def main():
    root, unit_path, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    unit = read_unit(unit_path)
    uid, gid = user_of(root, unit["User"][0])
    chain = filters(unit)
    environment = dict(pair.split("=", 1) for line in unit["Environment"] for pair in line.split())
    enter(root, "/var/lib/" + unit["StateDirectory"][0])
    os.umask(int(unit["UMask"][0], 8))
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    for one in chain:
        one.load()
    os.execve(command[0], command, {"PATH": "/usr/bin:/bin", **environment})


main()
