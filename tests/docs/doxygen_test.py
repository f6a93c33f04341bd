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


def run(folder, extra=""):
    """Runs Doxygen into a folder; its warnings, line by line."""
    config = (f"@INCLUDE = {DOXYFILE}\nOUTPUT_DIRECTORY = {folder}\n"
              f"WARN_AS_ERROR = NO\nWARN_LOGFILE = {folder}/warnings.txt\n{extra}")
    done = subprocess.run([DOXYGEN, "-"], input=config, text=True, capture_output=True, timeout=200,
                          check=False)
    if done.returncode != 0:
        raise AssertionError(f"doxygen ended with {done.returncode}:\n{done.stderr}")
    return (folder / "warnings.txt").read_text().splitlines()


class DoxygenTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def test_no_warnings(self):
        self.assertEqual([], run(self.folder))

    def test_words_are_where_they_are_looked_for(self):
        run(self.folder, "GENERATE_HTML = NO\nGENERATE_XML = YES\n")

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

    def test_what_has_no_words_is_found(self):
        header = self.folder / "bad.h"
        header.write_text("// A header.\n#ifndef BAD_H_\n#define BAD_H_\n\n// A class.\nclass Bad {\n"
                          " public:\n  int Silent(int a);\n\n  // Says something.\n  int Loud();\n\n"
                          "  int dumb = 0;\n  int talks = 0;  // of something\n};\n\n"
                          "#define MUTE 1\n#endif\n")
        found = run(self.folder, f"INPUT = {header}\n")
        self.assertEqual(3, len(found), found)
        for line, name in zip(found, ("MUTE", "Silent", "dumb")):
            self.assertIn(f"{name}", line)
            self.assertIn("is not documented", line)


if __name__ == "__main__":
    unittest.main()
