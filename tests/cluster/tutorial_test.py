#!/usr/bin/env python3
"""docs/tutorial.md, done: its commands run in one bash, in order, and print what the page says."""
import os
import re
import subprocess
import unittest

from cairn_process import BIN, ROOT, NodeTestCase, wait_until
from ports import free_ports

PAGE = ROOT / "docs/tutorial.md"


def steps(text):
    """(command, expected output) of each command of the page. A command goes on while a quote or a
    here-document is open; what follows up to the next command is its output."""
    found = []
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    number = 0
    while number < len(lines):
        if not lines[number].startswith("$ "):
            raise ValueError(f"output without a command: {lines[number]!r}")
        command = [lines[number][2:]]
        number += 1
        here = command[0].rstrip().endswith("<<END")
        while number < len(lines) and (("\n".join(command).count("'") % 2) or
                                       (here and command[-1] != "END")):
            command.append(lines[number])
            number += 1
        output = []
        while number < len(lines) and not lines[number].startswith("$ "):
            output.append(lines[number])
            number += 1
        found.append(("\n".join(command), output))
    return found


def plain(lines):
    """A tab is drawn as blanks."""
    text = "\n".join(line.rstrip() for line in lines)
    return re.sub(r"[ \t]{2,}|\t", " ", text)


class StepsTest(unittest.TestCase):
    def test_commands_and_outputs(self):
        page = "Text.\n\n    $ a <<END\n    in\n    END\n    out\n\nMore.\n\n    $ b 'x\n    y'\n    $ c\n"
        self.assertEqual([("a <<END\nin\nEND", ["out"]), ("b 'x\ny'", []), ("c", [])], steps(page))
        with self.assertRaises(ValueError):
            steps("    out\n")

    def test_what_may_differ(self):
        self.assertEqual(plain(["a   b", "c "]), plain(["a\tb", "c"]))
        self.assertNotEqual(plain(["a   70"]), plain(["a   71"]))


class TutorialTest(NodeTestCase):
    """The node of the page is on free ports here; nothing else differs."""

    def setUp(self):
        super().setUp()
        thrift, grpc, http = free_ports(3)
        (self.scratch / "build").mkdir()
        (self.scratch / "build/bin").symlink_to(BIN)
        environment = {**os.environ, "CAIRN_ENDPOINTS": f"127.0.0.1:{thrift}"}
        environment.pop("THRIFT_PORT", None)
        # In the page's place, cairnd is called with ports of its own.
        self.bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"], cwd=self.scratch, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(self.end)
        self.bash.stdin.write(
            "set -m\n"  # jobs, and their numbers
            f"cairnd() {{ command cairnd \"$@\" --port {thrift} --grpc-port {grpc} --http-port {http}"
            " > node.log 2>&1 & child=$!; echo $child >> nodes; wait $child; }\n")

    def end(self):
        path = self.scratch / "nodes"
        for line in path.read_text().split() if path.exists() else ():
            try:
                os.kill(int(line), 9)
            except ProcessLookupError:
                pass
        self.bash.stdin.close()
        self.bash.stdout.close()
        self.bash.kill()
        self.bash.wait()

    def run_step(self, command):
        self.bash.stdin.write(f"{command}\necho \"end of step\"\n")
        self.bash.stdin.flush()
        lines = []
        for line in iter(self.bash.stdout.readline, ""):
            if line == "end of step\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"bash ended in {command!r}: {lines}")

    def serving(self):
        path = self.scratch / "node.log"
        return path.exists() and "serving Thrift" in path.read_text()

    def test_every_command_prints_what_the_page_says(self):
        page = steps(PAGE.read_text(encoding="utf-8"))
        self.assertGreater(len(page), 25)
        for command, expected in page:
            if command.startswith("cairnd "):
                (self.scratch / "node.log").unlink(missing_ok=True)
            said = self.run_step(command)
            if command.startswith("cairnd "):
                wait_until(self.serving, "the node serves")
                self.run_step("")  # what the shell says about jobs
                continue
            if command.startswith("kill "):
                self.run_step(f"kill -9 $(tail -n 1 nodes) 2> /dev/null; wait {command.split()[-1]}"
                              " 2> /dev/null")
                continue
            self.assertEqual(plain(expected), plain(said), command)


if __name__ == "__main__":
    unittest.main(verbosity=2)
