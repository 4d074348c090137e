"""Programs of others that a test runs in the background: those of the machine, and those that ./dev unpacked."""
import os
import pathlib
import subprocess

import pytest


TOOLS = pathlib.Path(os.environ.get("TUTTI_TOOLS", "/nonexistent"))


def environment():
    """Where the libraries are of programs that are only unpacked."""
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, TOOLS.glob("lib*/usr/lib/*-linux-gnu")))}


def in_own_mounts(script, *arguments):
    """A command that runs script, then the arguments behind the script's first one, where what the script mounts is
    seen by nobody else."""
    user = [] if os.geteuid() == 0 else ["-U", "-r"]
    return ["unshare", *user, "-m", "sh", "-c", f'{script} && shift && exec "$@"', "sh", *arguments]


class Programs:
    """Programs that run in the background until the test ends; each one's output goes into a file."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []

    def find(self, name):
        """Its path; None where there is none."""
        for folder in [*TOOLS.glob("*/usr/*bin"), *os.environ["PATH"].split(":"), "/usr/sbin"]:
            if os.access(os.path.join(folder, name), os.X_OK):
                return os.path.join(folder, name)
        return None

    def path(self, name):
        return self.find(name) or pytest.fail(f"{name} is not here; ./dev test operations fetches it")

    def start(self, name, *arguments, own_share=None, around=lambda *command: command):
        """own_share: what it must find in /usr/share, where its package is only unpacked. around: makes of its command one
        that runs it elsewhere."""
        command = [self.path(name), *arguments]
        if own_share and not os.path.exists(f"/usr/share/{own_share}"):
            share = pathlib.Path(command[0]).parents[1] / "share"
            command = in_own_mounts('mount --bind "$1" /usr/share', str(share), *command)
        with open(self.folder / f"{name}.log", "ab") as log:
            self.running.append(subprocess.Popen(around(*command), stdout=log, stderr=log, cwd=self.folder, env=environment()))
        return self.running[-1]

    def run(self, name, *arguments):
        done = subprocess.run([self.path(name), *arguments], text=True, capture_output=True, timeout=60, env=environment())
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def done(self):
        for process in reversed(self.running):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    started = Programs(tmp_path_factory.mktemp("programs"))
    yield started
    started.done()
