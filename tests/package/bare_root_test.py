#!/usr/bin/env python3
"""The Debian packages on a bare Debian 12: installed by apt with all they depend on, started with the
configuration of the package, written to, removed and purged.

Takes minutes and a network, so it runs only when asked to, as root; .ci/run asks:

    CAIRN_BARE_ROOT=debootstrap ctest --test-dir build -R bare_root_test     makes a root by debootstrap,
                                    from where this machine's apt gets Debian 12, through its proxy if any
    CAIRN_BARE_ROOT=/path/to/root ctest ...      copies this one: a minimal Debian 12 that apt works in
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CAIRN_BUILD", ROOT / "build"))
SOURCE = os.environ.get("CAIRN_BARE_ROOT", "")
SKIPPED = 77
RELEASE = "bookworm"

# Run in the root, in a network namespace of its own: the ports are those of the configuration. The log
# is emptied before the node starts: the line waited for must not be that of a run before.
NODE = """
set -eu
ip link set lo up 2>/dev/null || true
: > /tmp/node.log
su -s /bin/sh cairn -c 'exec cairnd --config /etc/cairn/cairnd.toml' > /tmp/node.log 2>&1 &
tail -F --pid=$! /tmp/node.log 2>/dev/null | grep -m 1 'serving Thrift on'
cairn put fruit/apple red
cairn get fruit/apple
cairn status > /dev/null
kill -TERM %1 2>/dev/null || kill -TERM $!
wait
"""


def why_not():
    if not SOURCE:
        return ("CAIRN_BARE_ROOT is not set: installing into a bare Debian takes minutes and "
                "a network (see the head of this file)")
    if os.geteuid() != 0:
        return "only root may make a root and enter it"
    if SOURCE == "debootstrap" and not shutil.which("debootstrap"):
        return "there is no debootstrap"
    return None


def asked(*command):
    """What a program of apt says, by lines; none if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def archives():
    """(address, suite) of everything that this machine's apt has of Debian 12, its archive first."""
    lines = asked("apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)",
                  "Created-By: Packages", "Component: main")
    found = {(words[2], words[1]) for words in map(str.split, lines)
             if len(words) == 3 and words[0] == "Debian" and words[1].split("-")[0] == RELEASE}
    return sorted(found, key=lambda archive: (len(archive[1]), archive))


def proxy_settings():
    """Lines of a configuration of apt; none without a proxy."""
    return [line for line in asked("apt-config", "dump")
            if line.lower().startswith(("acquire::http::proxy ", "acquire::https::proxy "))]


class BareRootTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cairn-bare-root-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.root = self.folder / "root"
        if SOURCE == "debootstrap":
            self.make_root()
        else:
            self.run_here("cp", "-a", SOURCE, self.root)
        self.run_here(ROOT / "scripts/package.sh", "--no-build", "--build-dir", BUILD, "--out",
                      self.root / "packages")
        # Services must not start here: there is no systemd.
        policy = self.root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        self.run_here("mount", "-t", "proc", "proc", self.root / "proc")
        self.addCleanup(subprocess.run, ["umount", str(self.root / "proc")], check=False)

    def make_root(self):
        here = archives()
        proxy = proxy_settings()
        # Without lists of apt, debootstrap's own default.
        mirror = [address for address, suite in here if suite == RELEASE][:1]
        through = re.search(r'"(.+)"', proxy[0]).group(1) if proxy else ""
        self.run_here("debootstrap", "--variant=minbase", RELEASE, self.root, *mirror,
                      environment={"http_proxy": through} if through else {})
        if here:
            (self.root / "etc/apt/sources.list").write_text(
                "".join(f"deb {address} {suite} main\n" for address, suite in here))
        if proxy:
            (self.root / "etc/apt/apt.conf.d/90proxy").write_text("\n".join(proxy) + "\n")

    def run_here(self, *command, network=True, environment=None):
        command = [str(part) for part in command]
        if not network:
            command = ["unshare", "--net", *command]
        done = subprocess.run(command, text=True, timeout=800, check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              env={**os.environ, "DEBIAN_FRONTEND": "noninteractive",
                                   **(environment or {})})
        self.assertEqual(0, done.returncode, f"{command}:\n{done.stdout}")
        return done.stdout

    def inside(self, script, network=True):
        return self.run_here("chroot", self.root, "sh", "-c", script, network=network)

    def test_install_start_purge(self):
        self.inside("apt-get -q update && apt-get -qy --no-install-recommends install "
                    "/packages/cairn_*.deb /packages/lib*.deb iproute2 procps")
        self.assertIn("/var/lib/cairn", self.inside("getent passwd cairn"))
        self.assertEqual("cairn 750\n", self.inside("stat -c '%U %a' /var/lib/cairn"))
        self.assertIn("red", self.inside(NODE, network=False).splitlines())
        self.inside("ldconfig -p | grep -q libcairn.so.0")
        said = self.inside("apt-get -qy purge cairn 2>&1")
        self.assertIn("are kept", said)
        self.inside("test -e /var/lib/cairn/LOCK && test ! -e /etc/cairn && test ! -e /usr/bin/cairnd")
        # Installed again, it finds its data.
        self.inside("apt-get -qy --no-install-recommends install /packages/cairn_*.deb")
        self.assertIn("red", self.inside(NODE.replace("cairn put fruit/apple red", ""),
                                         network=False).splitlines())


if __name__ == "__main__":
    REASON = why_not()
    if REASON:
        print("skipped:", REASON)
        sys.exit(SKIPPED)
    unittest.main()
