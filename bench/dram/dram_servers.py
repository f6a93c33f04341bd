"""The servers of the memory plane's benchmark: `cairn dram serve`, Redis and memcached.

Each listens on a free loopback port and is ended by its process id when its `with` block ends. What
they hold is in memory alone: Redis runs without persistence.
"""
import contextlib
import os
import pathlib
import subprocess

from peers.servers import Server, free_port

CGROUP = pathlib.Path("/sys/fs/cgroup/cpu")
QUOTA_PERIOD_US = 100_000


def run_ns(pid):
    """Processor time of a process and all its threads so far, in nanoseconds."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += int((task / "schedstat").read_text().split()[0])
    return total


class MemoryServer(Server):
    """A server of any of the three systems, with the way its clients reach it."""

    def __init__(self, name, system, command, port, folder, unix_path=None):
        super().__init__(name, system, command, port, folder)
        self.unix_path = unix_path

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


def dram(binaries, folder, capacity="2GiB", peers=(), port=None, spec=None):
    """A node of the memory plane; `spec` is JSON text with members beside these."""
    port = port or free_port()
    command = [binaries / "cairn", "dram", "serve", "--listen", f"127.0.0.1:{port}",
               "--capacity", capacity]
    if peers:
        command += ["--remote", ",".join(peers)]
    if spec:
        command += ["--spec", spec]
    return MemoryServer("cairn dram serve", "dram", command, port, folder)


def redis(folder, memory_mb=4096):
    """Redis without persistence, on a TCP port and a Unix socket."""
    port, path = free_port(), pathlib.Path(folder) / "redis.sock"
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket", path,
               "--save", "", "--appendonly", "no", "--maxmemory", f"{memory_mb}mb"]
    return MemoryServer("redis", "redis", command, port, folder, path)


def memcached(folder):
    """memcached with a worker a core, and room for values of 1 MiB."""
    port = free_port()
    command = ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", port, "-m", 2048, "-I", "4m",
               "-t", os.cpu_count()]
    return MemoryServer("memcached", "memcached", command, port, folder)


def versions():
    """What the peers call themselves."""
    def words(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.split()
    redis_words = [word[2:] for word in words("redis-server", "--version") if word[:2] == "v="]
    ucx = words("dpkg-query", "-W", "-f", "${Version}", "ucx-utils")
    return (f"UCX {' '.join(ucx)}, Redis {' '.join(redis_words)} and "
            f"{' '.join(words('memcached', '--version'))}")


class Capped:
    """A control group (version 1) with a processor quota for one process."""

    def __init__(self, name, percent):
        self._path = CGROUP / f"cairn-bench-{os.getpid()}-{name}"
        self._percent = percent

    @staticmethod
    def possible():
        return os.access(CGROUP / "cgroup.procs", os.W_OK) and (
            CGROUP / "cpu.cfs_quota_us").exists()

    def __enter__(self):
        self._path.mkdir()
        (self._path / "cpu.cfs_period_us").write_text(str(QUOTA_PERIOD_US))
        (self._path / "cpu.cfs_quota_us").write_text(str(QUOTA_PERIOD_US * self._percent // 100))
        return self

    def add(self, pid):
        """Moves a process, with all its threads, under the quota."""
        (self._path / "cgroup.procs").write_text(str(pid))

    def __exit__(self, *_):
        # What was in it has ended by now, or goes back to where it came from.
        for pid in (self._path / "cgroup.procs").read_text().split():
            (CGROUP / "cgroup.procs").write_text(pid)
        self._path.rmdir()
