#!/usr/bin/env python3
"""The alarms of docs/operations.md and the sources: every log line of level warning or error that a
node can print has a row in the table, and every row is of something that the sources still print.

How a row is written: what the first cell quotes after `log:` is a line of the log from its beginning,
as far as it is needed to know it. `...` stands for anything, `N` alone (M, X, Y) for what the line
fills in. A quote of fewer than two words besides the part that speaks (`ucx: ...`) is of the line that
is just that."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = "docs/operations.md"
HEADING = "## What alarms mean"

HOLE = "\0"  # what a line fills in
LITERAL = r'"(?:[^"\\\n]|\\.)*"'
LITERALS = rf"(?:{LITERAL}\s*)+"
LOG_LINE = re.compile(rf"CAIRN_LOG\(\s*k(?:Warn|Error)\s*,\s*({LITERALS})?")
DIRECT = re.compile(r"\bLogLine\(\s*(?:::)?(?:cairn::)?LogLevel::k(?:Warn|Error)\b")
# Lines that are all hole: their words are made elsewhere.
WORDLESS = re.compile(rf"(?:\w+: )?(?:{HOLE}(?:: )?)+")

# Lines of which an operator needs no row: file -> why.
NO_ROW = {
    # The transport within one process, which tests alone choose: a node with it reaches nobody.
    "src/dram/loopback/loopback_listener.cc": "for tests",
    "src/dram/loopback/loopback_client.cc": "for tests",
}

# Where the words of lines come from that pass them on, each as (file of the log line, its text) ->
# (file of the words, what stands before each of them there). Every text that is found needs a row.
PASSED_ON = {
    ("src/replication/formation_driver.cc", "formation: " + HOLE): [
        ("src/consensus/formation/formation.cc", r"\bProblem\(FailedPreconditionError\(")],
    ("src/replication/replica.cc", "replica: " + HOLE): [
        ("src/replication/replica.cc", r'CAIRN_LOG\(kWarn, "replica: \{\}",\s*status\.ok\(\) \? '),
        ("src/replication/replica.cc", r'"taking writes again" : ')],
    ("apps/cairnd/main.cc", HOLE): [
        ("src/config/rules.cc", r"\bwarnings\.emplace_back\("),
        ("src/transport/asio/tls.cc", r"\bwarnings\.push_back\(")],
    # UCX's own words, which are none of ours: the row is of the line as it stands.
    ("src/dram/ucx/ucx.cc", "ucx: " + HOLE): [],
}

# Lines that are not written with CAIRN_LOG: file -> their format.
DIRECT_LINES = {"src/base/log.cc": "{}:{}: check failed: {}{}{}"}

# Before what is passed on, for lines that get it from another library's hands.
PREFIX = {"src/transport/asio/tls.cc": "[peer_tls] "}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def libraries():
    """name -> (folder, names of what it is made of), as src/CMakeLists.txt says."""
    found = {}
    for call in re.findall(r"cairn_library\(([^)]*)\)", read("src/CMakeLists.txt")):
        words = call.split()
        deps = words[words.index("DEPS") + 1:] if "DEPS" in words else []
        if "TEST_DEPS" in deps:
            deps = deps[:deps.index("TEST_DEPS")]
        found[words[words.index("NAME") + 1]] = (words[words.index("DIR") + 1], deps)
    return found


def sources_of(folder, patterns=("*.cc", "*.h")):
    return [str(path.relative_to(ROOT)) for pattern in patterns
            for path in sorted((ROOT / folder).glob(pattern))
            if not re.search(r"_(test|testing|test_util)\.(cc|h)$", path.name)]


def node_sources():
    """The files of cairnd and of the libraries in it."""
    known = libraries()
    waiting = re.search(r"set\(NODE_DEPS ([^)]*)\)", read("apps/CMakeLists.txt")).group(1).split()
    folders = {"apps/cairnd"}
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in known and name not in seen:
            seen.add(name)
            folders.add(known[name][0])
            waiting += known[name][1]
    return [path for folder in sorted(folders) for path in sources_of(folder)]


def unquoted(literals):
    """The text of C++ string literals that stand side by side."""
    text = "".join(literal[1:-1] for literal in re.findall(LITERAL, literals))
    return text.replace(r"\"", '"').replace("\\\\", "\\")


def filled(form):
    """A format of fmt as a text with holes."""
    return re.sub(r"\{\{|\}\}|\{[^{}]*\}",
                  lambda found: {"{{": "{", "}}": "}"}.get(found.group(), HOLE), form)


def expression(text, start):
    """What a C++ expression at `start`, up to the end of its call, adds up to: its literals, and
    holes for all else."""
    depth, at, found = 0, start, ""
    while depth > 0 or text[at] not in "),:;":
        literal = re.compile(LITERALS).match(text, at)
        if literal:
            # An argument of another call is no part of the text.
            found += unquoted(literal.group()) if depth == 0 else HOLE
            at = literal.end()
            continue
        if not text[at].isspace() and text[at] != "+":
            found += HOLE
        # `::` is no end.
        step = 2 if text.startswith("::", at) else 1
        depth += (text[at] == "(") - (text[at] == ")")
        at += step
        if text.startswith("::", at):
            at += 2
    return re.sub(f"{HOLE}+", HOLE, found)


def log_lines():
    """(file, line number, text with holes) of every line of level warning or error."""
    for path in node_sources():
        text = read(path)
        for found in LOG_LINE.finditer(text):
            number = text.count("\n", 0, found.start()) + 1
            yield path, number, filled(unquoted(found.group(1))) if found.group(1) else None
        if path in DIRECT_LINES:
            found = re.search(re.escape(f'"{DIRECT_LINES[path]}"'), text)
            number = text.count("\n", 0, found.start()) + 1 if found else 0
            yield path, number, filled(DIRECT_LINES[path]) if found else None


def needed():
    """(where, text with holes) of all that needs a row."""
    for path, number, text in log_lines():
        if path in NO_ROW:
            continue
        origins = PASSED_ON.get((path, text))
        if not origins:
            yield f"{path}:{number}", text
            continue
        for file, mark in origins:
            code = read(file)
            for found in re.finditer(mark, code):
                words = expression(code, found.end())
                yield (f"{file}:{code.count(chr(10), 0, found.start()) + 1}",
                       text[:-1] + PREFIX.get(file, "") + words)


def cells():
    """The first cells of the table."""
    page = read(PAGE)
    table = page[page.index(HEADING):]
    return [line.split(" | ")[0]
            for line in re.findall(r"^\| (?!what is seen \|)(.*)$", table, re.M)]


def log_quotes(cell):
    """What a cell quotes of the log: one line, or several with commas between them."""
    found = re.match(r"log: ((?:`[^`]+`(?:, )?)+)", cell)
    return re.findall(r"`([^`]+)`", found.group(1)) if found else []


def other_quotes(cell):
    return [quote for quote in re.findall(r"`([^`]+)`", cell) if quote not in log_quotes(cell)]


def pattern(quote):
    """A quote of a row as a regular expression for texts with holes."""
    parts = re.split(r"(\.\.\.|\b[NMXY]\b)", quote)
    expressions = [".*" if part == "..." else HOLE if re.fullmatch("[NMXY]", part) else re.escape(part)
                   for part in parts]
    fixed = " ".join(parts[::2])
    if len(re.findall(r"[A-Za-z']{2,}", re.sub(r"^[\w ]+: ", "", fixed))) < 2:
        # Too few words to tell one line from another.
        expressions = [HOLE if part == ".*" else part for part in expressions] + ["$"]
    return re.compile("".join(expressions), re.S)


def shown(text):
    return text.replace(HOLE, "...") if text is not None else "(no text that can be read)"


class SourcesTest(unittest.TestCase):
    """What this test rests on."""

    def test_formats_and_expressions(self):
        self.assertEqual("a: \0 {b} \0", filled("a: {} {{b}} {:016x}"))
        self.assertEqual('say "x" twice', unquoted('"say \\"x\\" "\n    "twice"'))
        code = 'F("a " + std::to_string(n) + " b" "c" + Name(x, "y") + z) + "no"'
        self.assertEqual("a \0 bc\0", expression(code, 2))

    def test_patterns(self):
        line = "peers: no connection to node \0 at \0 (\0): \0; trying again"
        for quote in ("peers: no connection to node N at ...", "... no connection to node N",
                      "peers: no connection ... trying again"):
            self.assertTrue(pattern(quote).match(line), quote)
        for quote in ("peers: no connection to N", "no connection to node N", "peers: ...",
                      "peers: no connection ... try again"):
            self.assertFalse(pattern(quote).match(line), quote)
        self.assertTrue(pattern("ucx: ...").match("ucx: \0"))
        self.assertFalse(pattern("ucx: ...").match("ucx: \0 lines more"))

    def test_the_sources_of_the_node(self):
        files = node_sources()
        for path in ("apps/cairnd/main.cc", "src/base/log.cc", "src/consensus/raft/raft_core.cc",
                     "src/dram/ucx/link.cc", "src/server/http/http_server.cc"):
            self.assertIn(path, files)
        for path in ("src/client/library/client.cc", "src/replication/replica_test.cc"):
            self.assertNotIn(path, files)
        self.assertGreater(len(list(log_lines())), 60)

    def test_every_line_can_be_read(self):
        unread = [f"{path}:{number}" for path, number, text in log_lines() if text is None]
        self.assertEqual([], unread, "log lines whose format is no string literal: this test can't "
                         "tell what they say; write the literal in the call of CAIRN_LOG")
        direct = [path for path in node_sources() for _ in DIRECT.finditer(read(path))]
        self.assertEqual(sorted(DIRECT_LINES), direct,
                         "calls of LogLine: use CAIRN_LOG, or name the text in DIRECT_LINES")
        # A line that only passes on what others say must be known as such.
        wordless = {(path, text) for path, _, text in log_lines()
                    if text is not None and WORDLESS.fullmatch(text)}
        self.assertEqual([], [f"{path}: {shown(text)}" for path, text in wordless - set(PASSED_ON)],
                         "log lines that have no words of their own: give them some, or say in "
                         "PASSED_ON where their words come from")
        self.assertEqual([], [f"{path}: {shown(text)}" for path, text in set(PASSED_ON) - wordless],
                         "PASSED_ON names lines that are not there any more")
        for origins in PASSED_ON.values():
            for file, mark in origins:
                self.assertRegex(read(file), mark, f"PASSED_ON: nothing like that in {file}")

    def test_exceptions_are_of_lines_that_are_there(self):
        self.assertEqual(set(), set(NO_ROW) - {path for path, _, _ in log_lines()})


class TableTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        files = [*node_sources(), *sources_of("apps/cairn"), *sources_of("include/cairn")]
        cls.literals = [[unquoted(found) for found in re.findall(LITERALS, read(path))]
                        for path in files]
        cls.quotes = [quote for cell in cells() for quote in log_quotes(cell)]

    def is_in_sources(self, quote):
        """Whether a text without holes is a literal, or nearly; or its parts stand in one file, one
        after the other."""
        parts = re.split(r"\s*(?:\.\.\.|\b[NMXY]\b)\s*", quote)
        if len(parts) == 1:
            return any(quote in text and len(text) <= len(quote) + 10
                       for texts in self.literals for text in texts)
        form = re.compile(".*".join(map(re.escape, parts)), re.S)
        return any(form.search("\n".join(texts)) for texts in self.literals)

    def test_every_alarm_has_a_row(self):
        patterns = [pattern(quote) for quote in self.quotes]
        missing = [(where, shown(text)) for where, text in needed()
                   if not any(quote.match(text) for quote in patterns)]
        if not missing:
            return
        lines = "\n".join(f"  {where}: {text}" for where, text in missing)
        self.fail(f"""
A node can print these lines as a warning or an error, and no row of the table under
'{HEADING[3:]}' in {PAGE} is of them:
{lines}
Add a row that says what it means and what to do about it:
  | log: `{missing[0][1]}` | ... | ... |
(`...` is what the line fills in; its end may be left out), or quote the line in a row that says so
already. If no operator needs a row, say why in NO_ROW of {pathlib.Path(__file__).name}.""")

    def is_printed(self, quote, lines):
        if any(pattern(quote).match(line) for line in lines):
            return True
        # A row may be of one thing that a line says where it fills something in at its end.
        return any(pattern(quote[:at.start()]).fullmatch(line.removesuffix(": " + HOLE)) and
                   self.is_in_sources(quote[at.end():])
                   for at in re.finditer(": ", quote) for line in lines if line.endswith(": " + HOLE))

    def test_every_row_is_of_what_is_printed(self):
        lines = [text for _, text in needed()]
        stale = [f"  `{quote}`" for quote in self.quotes if not self.is_printed(quote, lines)]
        if stale:
            self.fail(f"\nNo log line of level warning or error reads like these quotes of {PAGE} "
                      "any more.\nCorrect them, or take their rows out:\n" + "\n".join(stale))

    def test_what_other_rows_quote_is_in_the_sources(self):
        stale = []
        for quote in (quote for cell in cells() for quote in other_quotes(cell)):
            # The words of a command are names in several places.
            command = re.match("(?:cairn |(?=cluster ))(.*)", quote)
            parts = command.group(1).split() if command else [quote]
            if not all(self.is_in_sources(part) for part in parts):
                stale.append(f"  `{quote}`")
        if stale:
            self.fail(f"\nThe sources have no such texts any more; correct {PAGE}:\n" +
                      "\n".join(stale))

    def test_the_table_can_be_read(self):
        self.assertGreater(len(cells()), 40)
        self.assertGreater(len(self.quotes), 60)
        for cell in cells():
            self.assertEqual(cell.startswith("log: "), bool(log_quotes(cell)),
                             f"a cell of the log is written: log: `line`, `line`: {cell}")


if __name__ == "__main__":
    unittest.main()
