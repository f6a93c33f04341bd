#!/usr/bin/env python3
"""The rules of our style that a compiler can't see, as a test.

Each rule is a function over the repository's files that yields "path:line: what is wrong, what to
do". Rules have names; an exception to one is listed in EXCEPTIONS with its reason. The second half
of the file feeds each rule a file that breaks it, so that a rule which can't fail fails.

    tests/tidy/tidy_test.py [--root DIR]
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_LINES = 500
CODE_DIRS = ("src/", "apps/", "sim/", "include/")
CPP = (".h", ".cc")

# (rule, path): why it may. Keep it short: an exception is a debt.
EXCEPTIONS: dict[tuple[str, str], str] = {}


class Tree:
    """The files to check: path (with /, relative to the root) -> text."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = {}
        for path in self._paths():
            try:
                self.files[path] = (self.root / path).read_text(encoding="utf-8")
            except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
                continue  # binary test data, or a file that git knows and the disk no longer has

    def _paths(self):
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", str(self.root), "ls-files", "--cached",
             "--others", "--exclude-standard"],
            capture_output=True, text=True, check=False)
        if listed.returncode == 0:
            return sorted(set(listed.stdout.split("\n")) - {""})
        return sorted(  # an unpacked archive
            str(path.relative_to(self.root)) for path in self.root.rglob("*")
            if path.is_file() and not re.match(r"(build|data|\.git)\b", str(path.relative_to(self.root))))

    def under(self, dirs, suffixes):
        for path, text in self.files.items():
            if path.startswith(tuple(dirs)) and path.endswith(tuple(suffixes)):
                yield path, text


RULES = {}


def rule(function):
    RULES[function.__name__] = function
    return function


def matches(text, pattern):
    """Yields (line number, match) of every match in the text."""
    for number, line in enumerate(text.split("\n"), start=1):
        found = re.search(pattern, line)
        if found:
            yield number, found


@rule
def file_length(tree):
    for path, text in tree.under(CODE_DIRS, CPP):
        lines = text.count("\n")
        if lines > MAX_LINES:
            yield f"{path}:{lines}: over {MAX_LINES} lines; find the second thing hiding inside"


@rule
def opening_comment(tree):
    for path, text in tree.under(CODE_DIRS, (".h",)):
        if not text.startswith("//"):
            yield f"{path}:1: a header opens with a comment: its purpose, thread safety, invariants"


@rule
def include_guard(tree):
    for path, text in tree.under(CODE_DIRS, (".h",)):
        inside = path.removeprefix("include/cairn/") if path.startswith("include/") else path
        guard = "CAIRN_" + re.sub(r"[^A-Z0-9]", "_", inside.upper()) + "_"
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            yield f"{path}:1: the include guard must be {guard}"


@rule
def public_includes(tree):
    """Public headers need the standard library and each other, and nothing that would have to be
    installed with them."""
    for path, text in tree.under(("include/",), (".h",)):
        for line, found in matches(text, r'^\s*#\s*include\s*([<"].*)'):
            name = found.group(1).strip()
            if not re.match(r'"cairn/\w+\.h"|<[a-z_]+>|<std(def|int)\.h>', name):
                yield f"{path}:{line}: {name}: public headers include the standard library and cairn/ alone"


@rule
def no_sleep(tree):
    for path, text in tree.under(("src/", "sim/", "tests/", "apps/"), CPP + (".py", ".sh")):
        if path.startswith("tests/tidy/"):
            continue
        for line, _ in matches(text, r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\("):
            yield f"{path}:{line}: wait for an event, not for time to pass"


@rule
def no_leftovers(tree):
    for path, text in tree.files.items():
        if path.startswith("tests/tidy/") or path == "LICENSE":
            continue
        for line, found in matches(text, r"\b(TODO|FIXME|XXX)\b"):
            yield f"{path}:{line}: {found.group(1)}: finish it, or file an issue"


@rule
def determinism(tree):
    dirs = ("src/consensus/", "src/replication/", "src/kv/", "src/storage/", "sim/")
    forbidden = (r"\b(std::rand|srand|random_device|chrono::(system|steady|high_resolution)_clock|"
                 r"clock_gettime|gettimeofday)\b|\btime\(nullptr\)")
    for path, text in tree.under(dirs, CPP):
        for line, found in matches(text, forbidden):
            yield f"{path}:{line}: {found.group(0)}: time and randomness are inputs (src/base/clock.h)"


@rule
def no_tabs(tree):
    for path, text in tree.files.items():
        for line, _ in matches(text, "\t"):
            yield f"{path}:{line}: a tab; use spaces"


@rule
def no_machine_paths(tree):
    for path, text in tree.files.items():
        if path.startswith("tests/tidy/"):
            continue
        for line, found in matches(text, r"(?<![\w.])/(home|Users|work|root)/[\w.]+"):
            yield f"{path}:{line}: {found.group(0)} exists on one machine only"


def links(text):
    """Yields (line, target) of the Markdown links that are no web addresses."""
    for line, _ in matches(text, r"\]\("):
        for target in re.findall(r"\]\(([^)\s]+)\)", text.split("\n")[line - 1]):
            if not re.match(r"[a-z]+:", target):
                yield line, target


def anchors(text):
    """The anchors of a Markdown text's headings."""
    found = set()
    for _, heading in matches(text, r"^#+ (.*)$"):
        words = re.sub(r"[^\w\- ]", "", heading.group(1).lower())
        found.add(words.replace(" ", "-"))
    return found


@rule
def links_resolve(tree):
    for path, text in tree.under(("",), (".md",)):
        for line, target in links(text):
            name, _, anchor = target.partition("#")
            there = (tree.root / path).parent / name if name else tree.root / path
            if not there.exists():
                yield f"{path}:{line}: the link {target} leads nowhere"
            elif anchor and anchor not in anchors(there.read_text(encoding="utf-8")):
                yield f"{path}:{line}: {name or path} has no heading for #{anchor}"


@rule
def doc_mentions_resolve(tree):
    """Code that names a file of docs/ names one that is there."""
    for path, text in tree.under(("",), CPP + (".py", ".sh", ".cmake", ".thrift", "CMakeLists.txt")):
        if path.startswith("tests/tidy/"):
            continue
        for line, _ in matches(text, r"docs/"):
            for name in re.findall(r"\bdocs/[\w./-]+\.md\b", text.split("\n")[line - 1]):
                if not (tree.root / name).exists():
                    yield f"{path}:{line}: {name} does not exist"


@rule
def formats_are_linked(tree):
    """Whoever reads or writes a format points to its specification."""
    code = "".join(text for _, text in tree.under(("src/", "api/", "sim/"), CPP + (".thrift",)))
    for path, _ in tree.under(("docs/formats/",), (".md",)):
        if path not in code and not path.endswith("README.md"):
            yield f"{path}:1: no code under src/, api/ or sim/ names this specification"


@rule
def readme_commands(tree):
    """The scripts and programs that README and CONTRIBUTING tell people to run exist."""
    programs = "".join(text for path, text in tree.files.items() if path.endswith("CMakeLists.txt"))
    for path in ("README.md", "CONTRIBUTING.md", "docs/testing.md", "docs/benchmarks.md"):
        text = tree.files.get(path, "")
        for line, _ in matches(text, r"(scripts/|build/bin/|configs/)"):
            content = text.split("\n")[line - 1]
            for name in re.findall(r"\b((?:scripts|configs)/[\w./-]+\.(?:sh|py|toml))", content):
                if not (tree.root / name).exists():
                    yield f"{path}:{line}: {name} does not exist"
            for program in re.findall(r"\bbuild/bin/([\w-]+)", content):
                if not re.search(rf"NAME\s+{re.escape(program)}\b", programs):
                    yield f"{path}:{line}: nothing builds build/bin/{program}"


@rule
def exceptions_are_needed(tree):
    for name, path in EXCEPTIONS:
        if name not in RULES or not any(
                finding.startswith(path + ":") for finding in RULES[name](tree)):
            yield f"tests/tidy/tidy_test.py:1: the exception ({name}, {path}) is not needed: drop it"


def findings(tree):
    for name, check in RULES.items():
        for finding in check(tree):
            if (name, finding.partition(":")[0]) not in EXCEPTIONS:
                yield f"{finding}  [{name}]"


class RepositoryTest(unittest.TestCase):
    """The repository keeps every rule."""

    def test_rules(self):
        tree = Tree(ROOT)
        self.assertGreater(len(tree.files), 50, "no files found: is this the repository?")
        found = list(findings(tree))
        self.assertFalse(found, "\n" + "\n".join(found))


GOOD_HEADER = ("// Purpose.\n#ifndef CAIRN_SRC_KV_GOOD_H_\n#define CAIRN_SRC_KV_GOOD_H_\n"
               "// docs/formats/thing.md\n#endif\n")
GOOD = {
    "src/kv/good.h": GOOD_HEADER,
    "docs/formats/thing.md": "# Thing\n\nSee [the top](#thing) and [code](../../src/kv/good.h).\n",
    "scripts/go.sh": "#!/bin/sh\n",
    "apps/CMakeLists.txt": "cairn_program(NAME node SRCS node.cc)\n",
    "README.md": "Run scripts/go.sh, then build/bin/node.\n",
}
# rule -> a file that breaks it and nothing else.
BAD = {
    "file_length": ("src/kv/long.cc", "int x;\n" * (MAX_LINES + 1)),
    "opening_comment": ("src/kv/a.h", "#ifndef CAIRN_SRC_KV_A_H_\n#define CAIRN_SRC_KV_A_H_\n#endif\n"),
    "include_guard": ("src/kv/a.h", "// A.\n#ifndef A_H\n#define A_H\n#endif\n"),
    "public_includes": ("include/cairn/a.h", "// A.\n#ifndef CAIRN_A_H_\n#define CAIRN_A_H_\n"
                        "#include <absl/time/time.h>\n#endif\n"),
    "no_sleep": ("tests/wait_test.cc", "void F() { std::this_thread::sleep_for(x); }\n"),
    "no_leftovers": ("src/kv/a.cc", "// TODO: everything\n"),
    "determinism": ("src/storage/a.cc", "auto t = std::chrono::steady_clock::now();\n"),
    "no_tabs": ("scripts/a.sh", "\techo\n"),
    "no_machine_paths": ("scripts/a.sh", "cd /home/someone/cairn\n"),
    "links_resolve": ("docs/a.md", "[x](missing.md)\n"),
    "doc_mentions_resolve": ("src/kv/a.cc", "// docs/missing.md\n"),
    "formats_are_linked": ("docs/formats/orphan.md", "# Orphan\n"),
    "readme_commands": ("README.md", "Run build/bin/nothing.\n"),
}


class RulesHaveTeethTest(unittest.TestCase):
    """Each rule finds its planted fault, and none cries wolf."""

    def check(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                file = pathlib.Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            tree = Tree(folder)
            return {name for name, check in RULES.items()
                    if name != "exceptions_are_needed" and list(check(tree))}

    def test_good_tree(self):
        self.assertEqual(set(), self.check(GOOD))

    def test_planted_faults(self):
        for name, (path, text) in BAD.items():
            with self.subTest(rule=name):
                self.assertEqual({name}, self.check({**GOOD, path: text}))

    def test_every_rule_has_a_planted_fault(self):
        self.assertEqual(set(RULES) - {"exceptions_are_needed"}, set(BAD))

    def test_includes_of_public_headers(self):
        head = "// A.\n#ifndef CAIRN_A_H_\n#define CAIRN_A_H_\n"
        good = "#include <string_view>\n#include <stdint.h>\n#include \"cairn/b.h\"\n"
        self.assertEqual(set(), self.check({**GOOD, "include/cairn/a.h": f"{head}{good}#endif\n"}))
        for bad in ('"src/base/clock.h"', '"absl/time.h"', "<unistd.h>", "<grpcpp/grpcpp.h>", '"b.h"'):
            with self.subTest(include=bad):
                text = f"{head}{good}#  include {bad}\n#endif\n"
                self.assertEqual({"public_includes"}, self.check({**GOOD, "include/cairn/a.h": text}))

    def test_missing_anchor(self):
        bad = {"docs/a.md": "# One\n\n[x](#two)\n"}
        self.assertEqual({"links_resolve"}, self.check({**GOOD, **bad}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=str(ROOT), type=pathlib.Path)
    arguments, rest = parser.parse_known_args()
    ROOT = arguments.root
    unittest.main(argv=[sys.argv[0], *rest])
