"""Servers of the memory plane as processes, for tests.

    CAIRN_BIN   folder of cairn; default: build/bin
"""
import os
import pathlib
import select
import signal
import subprocess

from ports import free_ports

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CAIRN_BIN", ROOT / "build/bin"))
START_SECONDS = 60


def free_addresses(count):
    """Addresses on loopback whose ports nobody has."""
    return [f"127.0.0.1:{port}" for port in free_ports(count)]


class DramServer:
    """A `cairn dram serve`; serving when made. Ended by its owner, never left behind."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [str(BIN / "cairn"), "dram", "serve", *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        readable, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline() if readable else ""
        if not line.startswith("serving at "):
            self.process.kill()
            raise AssertionError(f"no server: {line!r} {self.process.communicate()}")
        self.address = line.split()[2].rstrip(",")
        # Where TensorStore's protocol is served; None without --tensorstore.
        self.tensorstore = self._told(line, ", TensorStore at ")
        # Where metrics are; None without --http.
        self.http = self._told(line, ", HTTP at ")

    @staticmethod
    def _told(line, words):
        """What stands behind the words, up to a comma or the line's end."""
        return line.strip().partition(words)[2].partition(",")[0] or None

    def end(self, number=signal.SIGKILL):
        """Sends a signal and waits for the end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode
