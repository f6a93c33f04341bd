#!/usr/bin/env python3
"""Cairn as others meet it: installed into a folder, found by CMake and by pkg-config, linked by
programs in C++17 and C99, and run against the installed node."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/install"
BUILD = pathlib.Path(os.environ.get("CAIRN_BUILD", ROOT / "build"))
CMAKE = os.environ.get("CMAKE", "cmake")
CC = os.environ.get("CC", "cc")
CXX = os.environ.get("CXX", "c++")
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
PREFIX = pathlib.Path(tempfile.mkdtemp(prefix="cairn-install-"))

# The node of the tests is the installed one.
os.environ["CAIRN_BIN"] = str(PREFIX / "bin")
sys.path.insert(0, str(ROOT / "tests/cluster"))
from cairn_process import Node, wait_until  # noqa: E402  pylint: disable=wrong-import-position


def run(*command, environment=None):
    """Runs a command to its end; what it said on standard output."""
    done = subprocess.run([str(part) for part in command], text=True, timeout=200, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **(environment or {})})
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def setUpModule():
    run(CMAKE, "--install", BUILD, "--prefix", PREFIX)


def tearDownModule():
    shutil.rmtree(PREFIX)


def lib_dir():
    found = [path.parent for path in PREFIX.rglob("libcairn.so")]
    assert len(found) == 1, f"libcairn.so is installed in {found}"
    return found[0]


def pkg_config(*arguments):
    return run("pkg-config", *arguments,
               environment={"PKG_CONFIG_PATH": str(lib_dir() / "pkgconfig")}).split()


def declared(header_pattern):
    """The functions of the C headers whose names match."""
    names = set()
    for header in (PREFIX / "include/cairn").glob("c*.h"):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", header.read_text(), flags=re.S)
        names |= set(re.findall(r"\b(cairn_\w+)\s*\(", text))
    return {name for name in names if re.match(header_pattern, name)}


def exported(library):
    """What a shared library exports: plain names and, for C++, demangled ones."""
    lines = run("nm", "-DC", "--defined-only", lib_dir() / library).splitlines()
    return [line.split(" ", 2)[2].removesuffix("@@CAIRN_0") for line in lines]


class LibraryTest(unittest.TestCase):
    # What applications may link, by library.
    CXX_NAMES = {
        "libcairn.so": r"cairn::(Client|NodeClient|MultiNodeClient|ScanCanceller|Transaction)::|"
                       r"cairn::MakeVersionstamp|"
                       r"(vtable|typeinfo|typeinfo name) for cairn::(Multi|Node|)(Node)?Client$",
        "libcairn-dram.so": r"cairn::(RemoteDram|DistributedServerNode)::|"
                            r"(vtable|typeinfo|typeinfo name) for cairn::RemoteDram$",
    }
    C_NAMES = {
        "libcairn.so": r"cairn_(?!dram_|buffer_|list_)",
        "libcairn-dram.so": r"cairn_(dram|status|buffer|operation|list)_",
    }

    def test_nothing_but_the_public_names_is_exported(self):
        for library, pattern in self.CXX_NAMES.items():
            leaks = [name for name in exported(library) if not re.match(pattern, name)
                     and not re.match(self.C_NAMES[library], name)]
            # The node of the version itself.
            self.assertEqual(["CAIRN_0"], sorted(set(leaks) | {"CAIRN_0"}), library)

    def test_every_c_function_is_exported(self):
        for library, pattern in self.C_NAMES.items():
            functions = declared(pattern)
            self.assertGreater(len(functions), 20)
            self.assertEqual(functions, {name for name in exported(library)
                                         if re.match(r"cairn_\w+$", name)}, library)

    def test_libraries_are_versioned_and_need_only_what_they_use(self):
        for library, never in (("libcairn", r"ucp|ucs|rocksdb|jemalloc|ssl"),
                               ("libcairn-dram", r"grpc|protobuf|thrift|rocksdb|jemalloc|ssl")):
            dynamic = run("readelf", "-d", lib_dir() / f"{library}.so")
            self.assertIn(f"soname: [{library}.so.0]", dynamic)
            self.assertNotIn("RUNPATH", dynamic)
            for needed in re.findall(r"NEEDED.*\[(.*)\]", dynamic):
                self.assertNotRegex(needed, never, library)


class HeaderTest(unittest.TestCase):
    def compiles(self, compiler, language, standard, header):
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / f"alone.{language}"
            source.write_text(f"#include <cairn/{header}>\nint alone(void);\n"
                              "int alone(void) { return 0; }\n")
            run(compiler, f"-std={standard}", *WARNINGS, "-nostdinc++" if language == "c" else "-O0",
                "-I", PREFIX / "include", "-c", source, "-o", pathlib.Path(folder) / "alone.o")

    def test_public_headers_compile_alone(self):
        headers = sorted(path.name for path in (PREFIX / "include/cairn").iterdir())
        self.assertIn("client.h", headers)
        for header in headers:
            self.compiles(CXX, "cc", "c++17", header)
        for standard in ("c99", "c11", "c17"):
            for header in ("c.h", "c_client.h", "c_dram.h"):
                self.compiles(CC, "c", standard, header)


class ProgramsTest(unittest.TestCase):
    """Each program runs with the installed libraries, found by the loader through
    LD_LIBRARY_PATH, and against the installed node."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="cairn-consumer-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.node = Node(cls.folder / "data", ["--grpc-port", "0"]).start()
        cls.addClassCleanup(cls.node.kill)
        grpc = wait_until(lambda: re.search(r"gRPC on \S+:(\d+)", cls.node.read_output(0.1)),
                          "a gRPC port")
        cls.endpoints = [f"127.0.0.1:{cls.node.port}", f"grpc://127.0.0.1:{grpc.group(1)}"]

    def start(self, program, *arguments):
        linked = run("ldd", program, environment={"LD_LIBRARY_PATH": str(lib_dir())})
        self.assertIn(str(lib_dir() / "libcairn"), linked)
        return run(program, *arguments, environment={"LD_LIBRARY_PATH": str(lib_dir())})

    def check_client(self, program):
        for endpoint in self.endpoints:
            with self.node.client() as node:
                node.set(b"stock/apple", b"5")
                self.assertEqual("apples 7\nstock/apple 7\nstock/pear 1\nINVALID_ARGUMENT\n",
                                 self.start(program, endpoint))
                self.assertEqual(b"7", node.value(b"stock/apple"))

    def check_accounts(self, program):
        for endpoint in self.endpoints:
            self.assertEqual("1000 more: not enough money\naccount/ann: 70\naccount/bob: 50\n",
                             self.start(program, endpoint))

    def build_by_cmake(self, name):
        build = self.folder / name
        run(CMAKE, "-S", HERE / name, "-B", build, f"-DCMAKE_PREFIX_PATH={PREFIX}",
            f"-DEXAMPLES={ROOT / 'examples'}", f"-DCMAKE_C_COMPILER={CC}",
            f"-DCMAKE_CXX_COMPILER={CXX}")
        run(CMAKE, "--build", build, "--parallel", "2")
        return build

    def test_cxx_by_cmake(self):
        build = self.build_by_cmake("cxx")
        self.check_client(build / "client")
        self.assertIn("read: value\n", self.start(build / "memory"))

    def test_c_by_cmake(self):
        build = self.build_by_cmake("c")
        self.assertIn("fruit/apple: red apple\n", self.start(build / "memory_c"))
        self.check_accounts(build / "accounts")

    def test_by_pkg_config(self):
        program = self.folder / "by_pkg_config"
        run(CXX, "-std=c++17", *WARNINGS, HERE / "cxx/client.cc", "-o", program,
            *pkg_config("--cflags", "--libs", "cairn"))
        self.check_client(program)
        run(CC, "-std=c99", *WARNINGS, ROOT / "examples/c/accounts.c", "-o", program,
            *pkg_config("--cflags", "--libs", "cairn"))
        self.check_accounts(program)

    def test_versions_agree(self):
        version = run(PREFIX / "bin/cairnd", "--version").split()[-1]
        for name in ("cairn", "cairn-dram"):
            self.assertEqual([version], pkg_config("--modversion", name))

    def test_an_installation_can_be_moved(self):
        moved = self.folder / "moved"
        shutil.copytree(PREFIX, moved, symlinks=True)
        found = next(moved.rglob("cairn.pc")).parent
        cflags = run("pkg-config", "--cflags", "cairn",
                     environment={"PKG_CONFIG_PATH": str(found)}).strip()
        include = pathlib.Path(cflags.removeprefix("-I"))
        self.assertEqual(moved / "include", include.resolve())


class FilesTest(unittest.TestCase):
    def test_what_is_installed(self):
        files = {str(path.relative_to(PREFIX)) for path in PREFIX.rglob("*") if not path.is_dir()}
        for expected in ("bin/cairnd", "bin/cairn", "share/man/man1/cairn.1",
                         "share/bash-completion/completions/cairn",
                         "share/zsh/vendor-completions/_cairn",
                         "share/fish/vendor_completions.d/cairn.fish",
                         "share/cairn/api/cairn.proto", "include/cairn/c.h"):
            self.assertIn(expected, files)
        # Nothing that only the build needs.
        self.assertEqual([], [name for name in files if re.search(r"\.a$|_test|example_", name)])


if __name__ == "__main__":
    unittest.main()
