#!/usr/bin/env python3
"""The table of docs/api.md: every name in it exists in its interface, and every call of cairn.v1.KV
and every function of the C client for data has its place there."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def text(*paths):
    return "\n".join((ROOT / path).read_text(encoding="utf-8") for path in paths)


def rows():
    """The rows of the table, as lists of cells."""
    page = text("docs/api.md")
    table = page[page.index("## What is where"):page.index("## What all share")]
    for line in table.splitlines():
        if line.startswith("| ") and not line.startswith("| |"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def names(column):
    """The names in a column."""
    return {name for row in rows() for name in re.findall(r"`([^`]+)`", row[column])}


class ApiTableTest(unittest.TestCase):
    def missing(self, column, exists):
        found = names(column)
        self.assertGreater(len(found), 12)
        return sorted(name for name in found if not exists(name))

    def test_cpp(self):
        headers = text("include/cairn/client.h", "include/cairn/transaction.h",
                       "include/cairn/future.h")
        self.assertEqual([], self.missing(1, lambda name: re.search(
            rf"\b{name.split('::')[-1]}\b", headers)))

    def test_c(self):
        headers = text("include/cairn/c.h", "include/cairn/c_client.h")
        self.assertEqual([], self.missing(2, lambda name: re.search(
            rf"\b{name.rstrip('*')}" + ("" if name.endswith("*") else r"\b"), headers)))
        # The other way round: what works on data, but for its other forms.
        functions = {name for name in re.findall(r"\b(cairn_client_\w+)\(", headers)
                     if not re.search(r"_async$|_(close|last_version|ping|is_leader|endpoints)$",
                                      name)}
        self.assertEqual([], sorted(functions - names(2)))

    def test_thrift(self):
        interface = text("api/kvstore.thrift")
        self.assertEqual([], self.missing(3, lambda name: re.search(rf"\b{name}\b", interface)))

    def test_grpc(self):
        interface = text("api/cairn.proto")
        self.assertEqual([], self.missing(4, lambda name: re.search(
            rf"\brpc {name.split('.')[-1]}\(", interface)))
        service = interface[interface.index("service KV {"):interface.index("service Admin {")]
        calls = {f"KV.{name}" for name in re.findall(r"rpc (\w+)\(", service)} - {"KV.Ping"}
        self.assertEqual([], sorted(calls - names(4)))


class LimitsTest(unittest.TestCase):
    # No request meets it: an entry of the log has one command at least.
    INTERNAL = {"entry_bytes"}

    def test_every_limit_is_documented_with_its_value(self):
        code = (ROOT / "src/kv/limits.h").read_text()
        limits = dict(re.findall(r"^  [\w:]+ (\w+) = ([^;]+);", code, re.M))
        self.assertGreater(len(limits), 10)
        page = (ROOT / "docs/configuration.md").read_text()
        section = page.split("\n### [limits]\n")[1].split("\n### ")[0]
        for name in sorted(set(limits) - self.INTERNAL):
            value = eval(limits[name].replace("'", ""))  # pylint: disable=eval-used
            with self.subTest(limit=name):
                self.assertRegex(section, rf"\| `{name}` \| `{value}` \||\b{value} [^;,]*\({name}\)")


if __name__ == "__main__":
    unittest.main()
