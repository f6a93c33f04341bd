#!/usr/bin/env python3
"""The switch of planted bugs is in the libraries that tests link, and in nothing that ships.

    tests/tidy/planted_bugs_test.py --build build --nm nm
"""
import argparse
import pathlib
import subprocess
import sys
import unittest

ARGS = argparse.Namespace(build="build", nm="nm")


def asks_for_bugs(path):
    done = subprocess.run([ARGS.nm, "-C", str(path)], capture_output=True, text=True, check=True)
    return "planted_bug_internal::planted" in done.stdout


class PlantedBugsTest(unittest.TestCase):
    def libraries(self):
        folder = pathlib.Path(ARGS.build, "src")
        planted = sorted(folder.glob("libcairn_*_planted.a"))
        self.assertTrue(planted, f"no planted libraries under {folder}")
        return planted

    def test_planted_libraries_ask(self):
        for library in self.libraries():
            self.assertTrue(asks_for_bugs(library), library)

    def test_what_ships_does_not(self):
        for library in self.libraries():
            twin = library.with_name(library.name.replace("_planted.a", ".a"))
            self.assertFalse(asks_for_bugs(twin), twin)
        programs = [pathlib.Path(ARGS.build, "bin", name) for name in ("cairnd", "cairn")]
        for program in programs:
            if program.exists():
                self.assertFalse(asks_for_bugs(program), program)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=ARGS.build)
    parser.add_argument("--nm", default=ARGS.nm)
    ARGS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
