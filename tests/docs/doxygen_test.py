#!/usr/bin/env python3
"""The reference of the public headers: Doxygen makes it without a warning, everything that needs
words has them, and they stand where a reader looks."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOXYFILE = pathlib.Path(os.environ.get("DOXYFILE", ROOT / "build/docs/Doxyfile"))
DOXYGEN = os.environ.get("DOXYGEN", "doxygen")

# What says itself, by the line it stands on: a definition on one line, what the compiler makes,
# operators, moving; macros for macros, whose names end in _.
SAYS_ITSELF = re.compile(r"\{.*\}\s*$|= (default|delete);|\boperator\b|\b(\w+)\(\2&&\)|"
                         r"#define CAIRN_\w+_\(")


def run(folder, extra=""):
    """Runs Doxygen into a folder; its warnings as (file, line, text)."""
    config = (f"@INCLUDE = {DOXYFILE}\nOUTPUT_DIRECTORY = {folder}\n"
              f"WARN_LOGFILE = {folder}/warnings.txt\n{extra}")
    done = subprocess.run([DOXYGEN, "-"], input=config, text=True, capture_output=True, timeout=200,
                          check=False)
    if done.returncode != 0:
        raise AssertionError(f"doxygen ended with {done.returncode}:\n{done.stderr}")
    for line in (folder / "warnings.txt").read_text().splitlines():
        found = re.match(r"(.+?):(\d+): (?:warning|error): (.*)", line)
        yield (found[1], int(found[2]), found[3]) if found else ("", 0, line)


def excused(path, line, text):
    """A plain field, or what says itself."""
    if "is not documented" not in text:
        return False
    if "(variable)" in text:
        return True
    source = pathlib.Path(path).read_text().split("\n")
    return bool(SAYS_ITSELF.search(source[line - 1]))


class DoxygenTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def test_no_warnings(self):
        warnings = [f"{path}:{line}: {text}" for path, line, text in run(self.folder)
                    if not excused(path, line, text)]
        self.assertEqual([], warnings)

    def test_words_are_where_they_are_looked_for(self):
        list(run(self.folder, "GENERATE_HTML = NO\nGENERATE_XML = YES\n"))

        def words(page, member):
            """What is said about a member."""
            text = (self.folder / "xml" / page).read_text()
            found = re.search(rf"<memberdef(?:(?!</memberdef>).)*?<name>{member}</name>.*?"
                              r"</memberdef>", text, re.S)
            self.assertIsNotNone(found, member)
            return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", " ".join(re.findall(
                r"<(?:brief|detailed)description>.*?</(?:brief|detailed)description>", found[0],
                re.S))))

        client = "classcairn_1_1Client.xml"
        self.assertIn("Sets a key; the version of the commit", words(client, "Set"))
        # The second of two that share a comment.
        self.assertIn("Sets a key; the version of the commit", words(client, "SetAsync"))
        # One behind its declaration.
        self.assertIn("empty: the default one",
                      words("structcairn_1_1WriteOptions.xml", "column_family"))
        # Of the C headers.
        self.assertIn("A key without a value is no error",
                      words("c__client_8h.xml", "cairn_client_get"))
        # Code in a comment is shown as code.
        page = (self.folder / "xml/client_8h.xml").read_text()
        said = page[page.index("<detaileddescription>"):page.index("</detaileddescription>")]
        code = "".join(re.findall(r"<programlisting.*?</programlisting>", said, re.S))
        self.assertIn("127.0.0.1:9090", code)
        self.assertNotIn("Every call has a deadline".replace(" ", "<sp/>"), code)

    def test_a_function_without_words_is_found(self):
        header = self.folder / "bad.h"
        header.write_text("// A header.\n#ifndef BAD_H_\n#define BAD_H_\n\n// A class.\nclass Bad {\n"
                          " public:\n  int Silent(int a);\n\n  // Says something.\n  int Loud();\n"
                          "};\n#endif\n")
        found = [text for path, line, text in run(self.folder, f"INPUT = {header}\n")
                 if not excused(path, line, text)]
        self.assertEqual(1, len(found), found)
        self.assertIn("Silent", found[0])


if __name__ == "__main__":
    unittest.main()
