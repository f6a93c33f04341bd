#!/usr/bin/env python3
"""Rules that the build enforces must reject what they forbid: includes beyond a library's DEPS, and
an operation that nobody classified. Each check runs once on good input and once on bad, so that it
can neither pass for the wrong reason nor fail for one.

    tests/tidy/build_rules_test.py --cxx g++ --cmake cmake
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARGS = argparse.Namespace(cxx="g++", cmake="cmake")


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout + done.stderr


class IncludeCheckTest(unittest.TestCase):
    """cmake/CheckIncludes.cmake, as cairn_library calls it for a library src/kv of base and absl."""

    def check(self, *includes):
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "source.cc")
            source.write_text("".join(f"#include {header}\n" for header in includes))
            code, output = run(
                ARGS.cmake, "-DTARGET=cairn_kv", "-DOWN=src/kv", "-DDIRS=src/base",
                "-DEXTERNALS=absl", "-DKNOWN=absl;rocksdb;thrift;tomlplusplus", f"-DFILES={source}",
                f"-DSTAMP={folder}/stamp", "-P", ROOT / "cmake/CheckIncludes.cmake")
            self.assertEqual(code == 0, pathlib.Path(folder, "stamp").exists(), output)
            return code == 0, output

    def test_declared_headers_pass(self):
        ok, output = self.check('"src/kv/limits.h"', '"src/base/ids.h"', '"cairn/status.h"',
                                "<absl/strings/str_cat.h>", '"absl/types/span.h"', "<vector>")
        self.assertTrue(ok, output)

    def test_undeclared_headers_fail_and_are_named(self):
        for header in ('"src/storage/engine.h"', "<rocksdb/db.h>", '"rocksdb/db.h"',
                       "<thrift/TProcessor.h>", "<toml++/toml.h>", '"apps/cairnd/main.h"'):
            with self.subTest(header=header):
                ok, output = self.check('"src/base/ids.h"', header)
                self.assertFalse(ok, "this include was accepted")
                self.assertIn(header.strip('<>"'), output)


class ClassificationTest(unittest.TestCase):
    """src/kv/operation.cc must not compile once KvOperation has an alternative more."""

    def compile(self, header):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder, "src/kv/operation.h")
            copy.parent.mkdir(parents=True)
            copy.write_text(header)
            source = pathlib.Path(folder, "operation.cc")  # away from src/kv, so that -I decides
            source.write_text((ROOT / "src/kv/operation.cc").read_text())
            return run(ARGS.cxx, "-std=c++20", "-fsyntax-only", f"-I{folder}", f"-I{ROOT}",
                       f"-I{ROOT}/include", source)

    def setUp(self):
        self.header = (ROOT / "src/kv/operation.h").read_text()

    def with_alternative(self, extra):
        end = "EnableFeatures, SkipVersions>;"
        self.assertEqual(1, self.header.count(end), "KvOperation changed: mend this test")
        header = self.header.replace(end, "EnableFeatures, SkipVersions, Planted>;")
        start = "// The index of an alternative is its number"
        self.assertEqual(1, header.count(start), "KvOperation changed: mend this test")
        header = header.replace(start, f"struct Planted {{}};\n{start}")
        return header.replace("#undef CAIRN_CLASSIFY_", f"{extra}\n#undef CAIRN_CLASSIFY_")

    def test_as_it_is_compiles(self):
        code, output = self.compile(self.header)
        self.assertEqual(0, code, output)

    def test_unclassified_alternative_does_not_compile(self):
        code, output = self.compile(self.with_alternative(""))
        self.assertNotEqual(0, code, "an unclassified operation compiled")
        self.assertIn("OperationTraits<cairn::kv::Planted>", output)

    def test_classification_is_what_was_missing(self):
        _, before = self.compile(self.with_alternative(""))
        _, after = self.compile(self.with_alternative('CAIRN_CLASSIFY_(Planted, kWrite, "planted");'))
        self.assertIn("OperationTraits", before)
        self.assertNotIn("OperationTraits", after)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cxx", default="g++")
    parser.add_argument("--cmake", default="cmake")
    ARGS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
