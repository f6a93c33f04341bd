#!/usr/bin/env python3
"""What cairn writes for others to read: manual pages that lint clean, and completion files that work
in the shells they are for; and what the page of operations tells them to type."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CAIRN_BIN", "build/bin")).resolve()


def run(*command, text=""):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": tempfile.gettempdir()}
    done = subprocess.run([str(word) for word in command], input=text.encode(), check=False,
                          capture_output=True, timeout=60, env=environment)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def out(*command, text=""):
    code, stdout, stderr = run(*command, text=text)
    if code != 0:
        raise AssertionError(f"{command}: exit {code}: {stderr}")
    return stdout


def commands():
    """Names of all commands: the manual of the program refers to the page of each."""
    return [name for name in re.findall(r"\\fBcairn\\-([\w\\-]+)\\fR\(1\)", out(BIN / "cairn", "man"))]


class ManualTest(unittest.TestCase):
    def test_pages_lint_clean(self):
        with tempfile.TemporaryDirectory() as folder:
            out(BIN / "cairn", "man", "--all", folder)
            pages = sorted(pathlib.Path(folder).iterdir())
            self.assertEqual(len(commands()) + 1, len(pages))
            for page in pages:
                # No date: a page made twice is the same twice.
                said = run("mandoc", "-T", "lint", "-W", "warning", page)[1]
                found = [line for line in said.splitlines() if "missing date" not in line]
                self.assertEqual([], found)

    def test_a_page_that_is_wrong_is_found(self):
        self.assertIn("WARNING", run("mandoc", "-T", "lint", text=".SH X\n.PP\ny\n")[1])

    def test_folders_that_do_not_exist(self):
        self.assertEqual(3, run(BIN / "cairn", "man", "--all", "/nonexistent")[0])
        self.assertEqual(2, run(BIN / "cairn", "man", "nonsense")[0])


class OperationsPageTest(unittest.TestCase):
    """Every command line in docs/operations.md is one that the programs take."""

    PAGE = (ROOT / "docs/operations.md").read_text()
    USAGE, UNREACHABLE = 2, 4

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for number in range(4):
            text = (ROOT / "configs/cluster/node0.toml").read_text()
            text = text.replace("instance_id = 0", f"instance_id = {number}")
            text = text.replace('"localhost:9092"', '"localhost:9092", "localhost:9093"')
            (self.folder / f"node{number}.toml").write_text(text)

    def code(self, line):
        """The exit code of a line. Nobody is at any endpoint, and cairnd checks its configuration
        alone."""
        line = re.sub(r"--endpoints \S+", "--endpoints 127.0.0.1:1", line)
        program, *words = line.split()
        words += ["--check-config"] if program == "cairnd" else []
        if program == "cairn" and words[0] != "restore" and words[:2] != ["cluster", "recover"]:
            words = ["--timeout-ms", "50", *words]
        done = subprocess.run([BIN / program, *words], cwd=self.folder, check=False, timeout=60,
                              env={**os.environ, "CAIRN_ENDPOINTS": "127.0.0.1:1"},
                              capture_output=True)
        return done.returncode

    def test_lines_to_type_are_taken(self):
        lines = re.findall(r"^ {4,}(cairnd? .*)$", self.PAGE, re.MULTILINE)
        self.assertGreater(len(lines), 15)
        for line in lines:
            with self.subTest(line):
                if line.startswith("cairnd"):
                    self.assertEqual(0, self.code(line))
                elif " restore " in line or " recover " in line:
                    # Without the backup, or the folder, that they speak of.
                    self.assertNotIn(self.code(line), (0, self.USAGE))
                else:
                    self.assertEqual(self.UNREACHABLE, self.code(line))

    def test_a_line_that_is_wrong_is_found(self):
        for line in ("cairn cluster grow 3", "cairn backup --locally x", "cairn cluster add 3",
                     "cairnd --configuration node0.toml", "cairn restore --check x --config y"):
            self.assertEqual(self.USAGE, self.code(line), line)

    def test_commands_in_the_text_exist(self):
        named = set(re.findall(r"`cairn ((?:cluster )?[a-z-]+)", self.PAGE))
        self.assertGreater(len(named), 3)
        known = {name.replace("\\", "") for name in commands()}  # troff escapes a hyphen
        self.assertLessEqual({name.replace(" ", "-") for name in named}, known)


class CompletionTest(unittest.TestCase):
    def bash(self, *words):
        line = " ".join(f"'{word}'" for word in words)
        script = (out(BIN / "cairn", "completion", "bash") +
                  f"COMP_WORDS=({line})\nCOMP_CWORD={len(words) - 1}\n_cairn\n"
                  "printf '%s\\n' \"${COMPREPLY[@]}\"\n")
        return sorted(out("bash", "--norc", text=script).split())

    def fish(self, *words):
        line = " ".join(words)
        script = out(BIN / "cairn", "completion", "fish") + f"\ncomplete -C '{line}'\n"
        return sorted(row.partition("\t")[0] for row in
                      out("fish", "--no-config", text=script).splitlines())

    def zsh(self, *words):
        """The completion system's own functions are replaced by ones that show their arguments."""
        line = " ".join(f"'{word}'" for word in words[1:])
        script = ("function _arguments { print -l -- $@; }\nfunction _describe { print -l -- ${(P)2}; }\n"
                  f"state={'command' if len(words) == 2 else 'arguments'}\n"
                  + out(BIN / "cairn", "completion", "zsh").replace("local curcontext=$curcontext state line", "")
                  .replace(" && return", "")
                  .replace('_cairn "$@"\n', f"words=({line}) CURRENT={len(words) - 1}\n_cairn\n"))
        return out("zsh", "-f", text=script)

    def test_commands(self):
        expected = sorted({name.split("\\-")[0] for name in commands()})
        self.assertEqual(expected, self.bash("cairn", ""))
        self.assertEqual(expected, self.fish("cairn", ""))
        shown = self.zsh("cairn", "")
        for name in expected:
            self.assertRegex(shown, rf"(?m)^{name}:")

    def test_options(self):
        expected = self.bash("cairn", "get", "k", "--")
        self.assertIn("--at-version", expected)
        self.assertNotIn("--limit", expected)
        self.assertEqual(expected, self.fish("cairn", "get", "k", "--"))
        shown = self.zsh("cairn", "get", "--")
        for name in expected:
            self.assertIn(name + "[", shown)
        self.assertIn("--version", self.bash("cairn", "--v"))
        self.assertIn("--version", self.fish("cairn", "--v"))

    def test_choices(self):
        for shell in (self.bash, self.fish):
            self.assertEqual(["leader", "local", "read_index"],
                             shell("cairn", "get", "k", "--read-level", ""))
            self.assertEqual(["bash", "fish", "zsh"], shell("cairn", "completion", ""))
            self.assertEqual([], shell("cairn", "get", ""))
            self.assertEqual(["cluster"], shell("cairn", "help", "cl"))
            self.assertEqual([], shell("cairn", "help", "cluster", ""))
        self.assertRegex(self.zsh("cairn", "help", ""), r"1::COMMAND:\(.*\bcluster\b.*\)")
        self.assertIn("(local leader read_index)", self.zsh("cairn", "get", "--read-level", ""))

    def test_paths(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "a-script")
            path.touch()
            self.assertEqual([str(path)], self.bash("cairn", "txn", f"{folder}/a-"))
            self.assertEqual([str(path)], self.fish("cairn", "txn", f"{folder}/a-"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
