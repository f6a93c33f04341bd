#!/usr/bin/env python3
"""Shows our headers to Doxygen, which takes only marked comments for documentation, where our style
marks none: a comment before a declaration documents it and the declarations that follow, up to an
empty line or the next comment; one behind a declaration, on its line, documents that declaration.

    filter.py FILE      prints the file as Doxygen is to read it, line by line
"""
import re
import sys

# Declarations that begin another part of a class, or end one.
NO_DECLARATION = re.compile(r"(#(?!define)|\}|public:|private:|protected:|extern \"C\"|namespace)")
SCOPE = re.compile(r"\s*(typedef\s+)?(class|struct|enum|namespace|extern)\b")


def as_text(lines):
    """A comment as Doxygen's Markdown, in as many lines: those that are indented are code."""
    text = []
    code = False
    for line in lines:
        if re.match(r"  +\S", line):
            if not code and text and not text[-1]:
                text[-1] = "\\code{.unparsed}"
            elif not code:
                line = "\\code{.unparsed} " + line.strip()
            code = True
            text.append(line)
            continue
        line = re.sub(r"([\\@<>#])", r"\\\1", line.strip())
        if code:
            line = "\\endcode " + line
        code = False
        text.append(line)
    if code:
        text[-1] += " \\endcode"
    return text


def marked(text, what=""):
    """The lines of a comment, as one of Doxygen's, in as many lines."""
    return [f"/** {what}{text[0]}", *text[1:-1], text[-1] + " */"] if len(text) > 1 else [
        f"/** {what}{text[0]} */"]


def comment_at(lines, i):
    """The lines of the comment that begins on line i, and the index of the line behind it."""
    found = []
    if lines[i].lstrip().startswith("//"):
        while i < len(lines) and lines[i].lstrip().startswith("//"):
            found.append(lines[i].lstrip()[2:].removeprefix(" "))
            i += 1
        return found, i
    while True:
        line = lines[i].strip()
        found.append(re.sub(r"^/?\*+/? ?", "", line.removesuffix("*/")).rstrip())
        i += 1
        if line.endswith("*/"):
            return found, i


class Filter:
    def __init__(self, name):
        self.name = name
        self.out = []
        self.above = None    # the comment that documents what follows; the first has it already
        self.fresh = False   # the next declaration is the first one
        self.file = True     # the next comment is the file's own
        self.parentheses = 0
        self.braces = 0      # of the body of a function
        self.start = True    # a declaration may begin here

    def comment(self, found):
        text = as_text(found)
        text[0] = re.sub(r"^NOLINT\w*\([^)]*\): ", "", text[0])
        if text[0].startswith("----"):
            self.above = None
            self.out += [""] * len(found)
        elif self.file:
            self.out += marked(text, f"\\file {self.name} \\brief ")
            self.file = False
        else:
            self.above = text
            self.fresh = True
            self.out += marked(text)

    def line(self, line):
        """A line that is no comment."""
        stripped = line.strip()
        code = re.sub(r"/\*.*?\*/|//.*", "", line)
        outside = self.braces == 0 and self.start
        if outside and not stripped:
            self.above = None
        elif outside and self.above and not NO_DECLARATION.match(stripped):
            if not self.fresh:
                line = f"/** {' '.join(self.above)} */ {line}"
            self.fresh = False
        behind = re.match(r"(.*\S)\s+(?://|/\*) (.*?)(?: \*/)?$", line)
        scope = SCOPE.match(code) and self.braces == 0
        if behind and scope and "{" in code:
            line = f"/** {as_text([behind[2].strip()])[0]} */ {behind[1]}"
        elif behind and code.strip() and self.braces == 0 and not stripped.startswith("#"):
            line = f"{behind[1]} /**< {as_text([behind[2].strip()])[0]} */"
        self.out.append(line)
        opened = code.count("{") - code.count("}")
        self.parentheses += code.count("(") - code.count(")")
        if scope:
            if opened > 0:
                self.above = None  # what is inside has comments of its own
        elif self.braces or opened > 0:
            self.braces += opened
        self.start = (self.braces == 0 and self.parentheses == 0 and
                      (not code.strip() or code.rstrip()[-1] in ";{}:," or
                       code.lstrip().startswith("#")))

    def run(self, lines):
        i = 0
        while i < len(lines):
            stripped = lines[i].strip()
            whole = re.match(r"//|/\*", stripped) and not re.match(r"/\*.*\*/.*\S", stripped)
            if self.braces == 0 and self.start and whole:
                found, i = comment_at(lines, i)
                self.comment(found)
                continue
            self.line(lines[i])
            while lines[i].endswith("\\"):  # the rest of a macro
                i += 1
                self.out.append(lines[i])
                self.start = True
                self.braces = self.parentheses = 0
            i += 1
        return "\n".join(self.out)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as header:
        print(Filter(sys.argv[1].rsplit("/", 1)[-1]).run(header.read().split("\n")))
