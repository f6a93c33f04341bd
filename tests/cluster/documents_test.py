#!/usr/bin/env python3
"""The programs that docs/client.md and docs/api.md show, as they stand there: compiled with the
public headers and the client's library, and run against a node."""
import os
import re
import subprocess
import sys
import textwrap
import unittest

from cairn_process import BIN, ROOT, NodeTestCase, wait_until

LIBRARY = BIN.parent / "lib"
GEN_PY = os.environ.get("CAIRN_GEN_PY", str(ROOT / "build/gen-py"))
# What somebody adds to the lines that docs/client.md shows of C.
C_PROGRAM = """#include <cairn/c.h>
#include <stdio.h>
int main(void) {
%s
  return 0;
}
"""


def blocks(page):
    """The parts of a page that are indented by four, which is how it shows code."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", text, re.M)
    return [textwrap.dedent(block) for block in found]


class DocumentsTest(NodeTestCase):
    def setUp(self):
        super().setUp()
        self.served = self.node().start()
        grpc = wait_until(lambda: re.search(r"gRPC on (\S+:\d+)", self.served.read_output(0.1)),
                          "gRPC")
        self.addresses = {"9090": self.served.endpoint, "50051": grpc.group(1)}

    def block(self, page, mark):
        """The one block of a page that begins with `mark`, at the ports of the test's node."""
        found = [block for block in blocks(page) if block.startswith(mark)]
        self.assertEqual(1, len(found), f"blocks of {page} that begin with {mark!r}")
        text, addresses = re.subn(r"(?:localhost|127\.0\.0\.1):(\d+)",
                                  lambda at: self.addresses[at.group(1)], found[0])
        self.assertEqual(1, addresses)
        return text

    def compiled(self, compiler, name, text):
        source = self.scratch / name
        source.write_text(text)
        program = self.scratch / "program"
        subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", source,
                        f"-L{LIBRARY}", "-lcairn", "-o", program], check=True, timeout=120)
        return program

    def shown_by(self, program):
        return subprocess.run([program], text=True, check=True, timeout=60, stdout=subprocess.PIPE,
                              env={**os.environ, "LD_LIBRARY_PATH": str(LIBRARY)}).stdout

    def test_cplusplus(self):
        program = self.compiled([os.environ.get("CXX", "c++"), "-std=c++17"], "app.cc",
                                self.block("client.md", "#include <cairn/client.h>"))
        for left in (b"9", b"8"):
            self.assertEqual("committed\n", self.shown_by(program))
            with self.served.client() as client:
                self.assertEqual(left, client.value(b"stock/apple"))

    def test_c(self):
        program = self.compiled([os.environ.get("CC", "cc"), "-std=c99"], "app.c",
                                C_PROGRAM % self.block("client.md", "cairn_client* client"))
        self.assertEqual("", self.shown_by(program))  # it says what went wrong, if anything did
        with self.served.client() as client:
            self.assertEqual(b"value", client.value(b"key"))

    def test_python(self):
        text = self.block("api.md", "import grpc")
        done = subprocess.run([sys.executable, "-c", text], text=True, check=True, timeout=60,
                              stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": GEN_PY})
        self.assertEqual("b'red'\n", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
