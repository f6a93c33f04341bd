#!/usr/bin/env python3
"""The Debian packages: what is in them, what they depend on, what their scripts do, and whether the
node of the package starts with the configuration of the package."""
import gzip
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CAIRN_BUILD", ROOT / "build"))
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="cairn-package-"))
UNPACKED = SCRATCH / "root"
PACKAGES = ("cairn", "libcairn0", "libcairn-dram0", "libcairn-dev")

# The node and command line of these tests are those of the package.
os.environ["CAIRN_BIN"] = str(UNPACKED / "usr/bin")
sys.path.insert(0, str(ROOT / "tests/cluster"))
from cairn_process import Node, cairn  # noqa: E402  pylint: disable=wrong-import-position


def run(*command, check=True, **options):
    done = subprocess.run([str(part) for part in command], text=True, timeout=250, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def package(name):
    found = list((SCRATCH / "packages").glob(f"{name}_*.deb"))
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


def field(name, of):
    return run("dpkg-deb", "--field", package(name), of).strip()


def listing(name):
    """(mode, owner, path) of everything in a package."""
    for line in run("dpkg-deb", "--contents", package(name)).splitlines():
        mode, owner, _, _, _, path = line.split(None, 5)
        yield mode, owner, path.split(" -> ")[0].removeprefix(".")


def files(name):
    return {path for mode, _, path in listing(name) if not mode.startswith("d")}


def setUpModule():
    run(ROOT / "scripts/package.sh", "--no-build", "--build-dir", BUILD, "--out",
        SCRATCH / "packages")
    for name in PACKAGES:
        run("dpkg-deb", "--extract", package(name), UNPACKED)
        run("dpkg-deb", "--control", package(name), SCRATCH / name)


def tearDownModule():
    shutil.rmtree(SCRATCH)


class ContentTest(unittest.TestCase):
    def test_every_package_and_no_other(self):
        self.assertEqual(sorted(PACKAGES), sorted(
            path.name.split("_")[0] for path in (SCRATCH / "packages").iterdir()))

    def test_files_are_where_they_belong(self):
        triplet = run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
        libraries = f"/usr/lib/{triplet}"
        expected = {
            "cairn": ["/usr/bin/cairnd", "/usr/bin/cairn", "/etc/cairn/cairnd.toml",
                      "/usr/lib/systemd/system/cairnd.service", "/usr/share/man/man1/cairn.1.gz",
                      "/usr/share/bash-completion/completions/cairn",
                      "/usr/share/zsh/vendor-completions/_cairn",
                      "/usr/share/fish/vendor_completions.d/cairn.fish",
                      "/usr/share/doc/cairn/configuration.md"],
            "libcairn0": [f"{libraries}/libcairn.so.0"],
            "libcairn-dram0": [f"{libraries}/libcairn-dram.so.0"],
            "libcairn-dev": [f"{libraries}/libcairn.so", f"{libraries}/libcairn-dram.so",
                             f"{libraries}/pkgconfig/cairn.pc", "/usr/include/cairn/client.h",
                             f"{libraries}/cmake/cairn/cairn-config.cmake",
                             "/usr/share/cairn/api/cairn.proto"],
        }
        everything = []
        for name in PACKAGES:
            inside = files(name)
            everything += inside
            self.assertEqual([], [path for path in expected[name] if path not in inside], name)
            self.assertIn(f"/usr/share/doc/{name}/copyright", inside)
            self.assertIn(f"/usr/share/doc/{name}/changelog.gz", inside)
            self.assertIn(f"/usr/share/doc/{name}/changelog.Debian.gz", inside)
        self.assertEqual(len(everything), len(set(everything)), "a file is in two packages")
        self.assertEqual([], [path for path in everything if not path.startswith(("/usr/", "/etc/"))])
        # The parts of a library that run without the others come alone.
        self.assertEqual([], [path for path in files("libcairn0") if path.endswith((".so", ".h"))])

    def test_files_belong_to_root_and_nobody_else_writes_them(self):
        for name in PACKAGES:
            for mode, owner, path in listing(name):
                self.assertEqual("root/root", owner, path)
                if mode[0] == "l":
                    continue
                self.assertNotIn("w", mode[4:], f"{path} is {mode}")
                self.assertNotIn("s", mode, f"{path} is {mode}")
                self.assertIn(mode[1:], ("rwxr-xr-x", "rw-r--r--"), f"{path} is {mode}")

    def test_programs_are_stripped_and_find_their_libraries_by_themselves(self):
        programs = [UNPACKED / "usr/bin/cairnd", UNPACKED / "usr/bin/cairn",
                    *UNPACKED.glob("usr/lib/*/libcairn*.so.0.*")]
        self.assertEqual(4, len(programs))
        for program in programs:
            self.assertNotIn(".debug_info", run("readelf", "--sections", "--wide", program))
            self.assertNotRegex(run("readelf", "-d", program), "RPATH|RUNPATH")

    def test_checksums(self):
        for name in PACKAGES:
            sums = (SCRATCH / name / "md5sums").read_text().splitlines()
            plain = {path for mode, _, path in listing(name) if mode.startswith("-")}
            self.assertEqual({path for path in plain if not path.startswith("/etc/")} | plain,
                             {"/" + line.split(None, 1)[1] for line in sums}, name)
            run("md5sum", "--check", "--quiet", SCRATCH / name / "md5sums", cwd=UNPACKED)


class ControlTest(unittest.TestCase):
    def test_fields(self):
        version = run(UNPACKED / "usr/bin/cairnd", "--version").split()[-1]
        for name in PACKAGES:
            self.assertEqual(name, field(name, "Package"))
            self.assertEqual(f"{version}-1", field(name, "Version"))
            self.assertEqual(run("dpkg", "--print-architecture").strip(),
                             field(name, "Architecture"))
            self.assertRegex(field(name, "Maintainer"), r".+ <.+@.+>")
            self.assertGreater(int(field(name, "Installed-Size")), 0)
            summary, _, text = field(name, "Description").partition("\n")
            self.assertTrue(0 < len(summary) <= 80, summary)
            self.assertGreater(len(text), 40, name)
            self.assertEqual([], [line for line in text.splitlines() if len(line) > 80], name)

    def test_dependencies_are_those_that_the_programs_load(self):
        self.assertRegex(field("cairn", "Depends"), r"\badduser\b")
        for name, needs, never in (
                ("cairn", ("libc6", "libssl3", "libjemalloc2", "libucx0"),
                 r"-dev\b|libcairn|rocksdb|grpc|protobuf|absl|thrift"),
                ("libcairn0", ("libc6", "libgrpc", "libthrift"), r"-dev\b|rocksdb|libucx|jemalloc"),
                ("libcairn-dram0", ("libc6", "libucx0"), r"-dev\b|rocksdb|grpc|thrift|jemalloc")):
            depends = field(name, "Depends")
            for need in needs:
                self.assertIn(need, depends, name)
            self.assertNotRegex(depends, never, name)
        version = field("libcairn0", "Version")
        for name in ("libcairn0", "libcairn-dram0"):
            self.assertIn(f"{name} (= {version})", field("libcairn-dev", "Depends"))

    def test_libraries_name_themselves_to_others(self):
        for name, library in (("libcairn0", "libcairn"), ("libcairn-dram0", "libcairn-dram")):
            self.assertRegex((SCRATCH / name / "shlibs").read_text(),
                             rf"(?m)^{library} 0 {name} ")
            self.assertIn("ldconfig", (SCRATCH / name / "triggers").read_text())

    def test_the_configuration_is_a_conffile(self):
        self.assertEqual("/etc/cairn/cairnd.toml\n", (SCRATCH / "cairn/conffiles").read_text())
        self.assertEqual({"/etc/cairn/cairnd.toml"},
                         {path for path in files("cairn") if path.startswith("/etc/")})


class UnitTest(unittest.TestCase):
    def test_the_manual_page_has_every_flag(self):
        said = run(UNPACKED / "usr/bin/cairnd", "--help")
        page = gzip.decompress((UNPACKED / "usr/share/man/man1/cairnd.1.gz").read_bytes()).decode()
        for flag in re.findall(r"--[a-z][a-z-]+", said):
            self.assertIn(flag.replace("-", r"\-"), page)

    def test_the_unit_starts_what_is_installed(self):
        unit = (UNPACKED / "usr/lib/systemd/system/cairnd.service").read_text()
        self.assertIn("ExecStart=/usr/bin/cairnd --config /etc/cairn/cairnd.toml\n", unit)
        self.assertNotIn("@", unit)
        self.assertIn("User=cairn\n", unit)
        page = re.search(r"man:(\w+)\((\d)\)", unit)
        self.assertTrue((UNPACKED / f"usr/share/man/man{page[2]}/{page[1]}.{page[2]}.gz").exists())
        self.assertTrue((UNPACKED / re.search(r"file:///(\S+)", unit)[1]).exists())
        if shutil.which("systemd-analyze"):
            run("systemd-analyze", "verify", "--root", UNPACKED, "--man=no", "--recursive-errors=no",
                "cairnd.service")


# Programs that the maintainer scripts call, which write down how.
STUB = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
"""


class ScriptsTest(unittest.TestCase):
    """The scripts of the package, run with the folders they name replaced by ones of the test, and
    with adduser and systemd's helpers replaced by stubs that write down how they were called."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cairn-scripts-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "bin").mkdir()
        (self.folder / "run/systemd/system").mkdir(parents=True)
        for name in ("adduser", "deb-systemd-helper", "deb-systemd-invoke", "systemctl", "chown"):
            path = self.folder / "bin" / name
            path.write_text(STUB)
            path.chmod(0o755)
        # The owner of what `install` makes is a user that this machine lacks.
        (self.folder / "bin/install").write_text(
            STUB + 'exec /usr/bin/install "$1" "$6" "$7" "$8"\n')
        (self.folder / "bin/install").chmod(0o755)

    def call(self, script, *arguments):
        """Runs a script; the calls it made."""
        source = SCRATCH / "cairn" / script
        self.assertTrue(source.stat().st_mode & stat.S_IXUSR, script)
        text = re.sub(r"/(run/systemd|var|etc)\b", rf"{self.folder}/\1", source.read_text())
        moved = self.folder / script
        moved.write_text(text)
        calls = self.folder / "calls"
        calls.write_text("")
        self.said = run("sh", "-e", moved, *arguments, env={
            "PATH": f"{self.folder}/bin:/usr/bin:/bin", "CALLS": str(calls)})
        return calls.read_text()

    def test_installation_makes_the_user_and_starts(self):
        calls = self.call("postinst", "configure", "")
        self.assertRegex(calls, r"(?m)^adduser .*--system .*cairn$")
        self.assertIn("deb-systemd-invoke start cairnd.service", calls)
        data = self.folder / "var/lib/cairn"
        self.assertEqual(0o750, stat.S_IMODE(data.stat().st_mode))
        self.assertIn("-o cairn -g cairn", calls)

    def test_upgrade_restarts_and_touches_no_data(self):
        (self.folder / "var/lib/cairn").mkdir(parents=True)
        calls = self.call("prerm", "upgrade", "9.9")
        self.assertNotIn("stop", calls)
        calls = self.call("postinst", "configure", "0.0.1")
        self.assertIn("deb-systemd-invoke restart cairnd.service", calls)
        self.assertNotIn("install ", calls)

    def test_removal_stops_and_purge_keeps_the_data(self):
        data = self.folder / "var/lib/cairn"
        (data / "journal").mkdir(parents=True)
        (self.folder / "var/log/cairn").mkdir(parents=True)
        (self.folder / "etc/cairn").mkdir(parents=True)
        self.assertIn("deb-systemd-invoke stop cairnd.service", self.call("prerm", "remove"))
        self.call("postrm", "remove")
        self.assertTrue((self.folder / "var/log/cairn").exists())
        self.call("postrm", "purge")
        self.assertTrue((data / "journal").exists())
        self.assertIn("are kept", self.said)
        self.assertFalse((self.folder / "var/log/cairn").exists())
        self.assertFalse((self.folder / "etc/cairn").exists())

    def test_purge_takes_an_empty_folder_and_keeps_foreign_configuration(self):
        (self.folder / "var/lib/cairn").mkdir(parents=True)
        (self.folder / "etc/cairn").mkdir(parents=True)
        (self.folder / "etc/cairn/tls.key").write_text("secret")
        self.call("postrm", "purge")
        self.assertFalse((self.folder / "var/lib/cairn").exists())
        self.assertNotIn("are kept", self.said)
        self.assertTrue((self.folder / "etc/cairn/tls.key").exists())
        self.call("postrm", "purge")  # again, with nothing there


class NodeTest(unittest.TestCase):
    def test_the_node_starts_with_the_configuration_of_the_package(self):
        config = UNPACKED / "etc/cairn/cairnd.toml"
        said = run(UNPACKED / "usr/bin/cairnd", "--config", config, "--check-config")
        self.assertIn("/var/lib/cairn", said)
        # As it is, but for ports that may be taken here, and the folder, which is the system's.
        node = Node(SCRATCH / "data", ["--config", config, "--http-port", "0"])
        node.start()
        self.addCleanup(node.kill)
        self.assertEqual(0, cairn("put", "fruit/apple", "red", endpoints=node.endpoint).returncode)
        got = cairn("get", "fruit/apple", endpoints=node.endpoint)
        self.assertEqual((0, b"red\n"), (got.returncode, got.stdout))
        self.assertEqual(0, node.stop())


if __name__ == "__main__":
    unittest.main()
