#!/usr/bin/env python3
"""Fails on what no file of the project may have.

    check_tree.py [ROOT]       checks the tree
    check_tree.py --self-test  checks this check, on made-up files

A source file has at most 500 lines. No text file names a path of somebody's machine. A C++ file has no tab and
no blank at the end of a line, and ends with a newline.
"""

import re
import sys
import tempfile
from pathlib import Path

from source_tree import CXX, project_files

MOST_LINES = 500
SOURCES = CXX | {".py", ".sh", ".cmake"}

# Homes that belong to nobody may stand in examples. (The first slash is set apart so that this file passes.)
_SLASH = "/"
MACHINE_PATH = re.compile(
    rf"(?<![\w.~$}}-]){_SLASH}(?:work{_SLASH}|Users{_SLASH}\w|home{_SLASH}(?!(?:user|alice|bob)\b)\w|root{_SLASH}\w)"
)


def is_source(path: Path, text: str) -> bool:
    return path.suffix in SOURCES or path.name == "CMakeLists.txt" or text.startswith("#!")


def complaints(path: Path, data: bytes) -> list[str]:
    """What is wrong with the file, each with its line."""
    if b"\0" in data:
        return []  # not a text
    text = data.decode(errors="replace")
    lines = text.split("\n")
    found = []
    if is_source(path, text) and text.count("\n") > MOST_LINES:
        found.append(f"{path}: {text.count(chr(10))} lines; a source file has at most {MOST_LINES}")
    for number, line in enumerate(lines, 1):
        machine = MACHINE_PATH.search(line)
        if machine:
            found.append(f"{path}:{number}: a path of one machine: {line[machine.start():][:40]}")
        if path.suffix in CXX:
            if "\t" in line:
                found.append(f"{path}:{number}: a tab")
            if line != line.rstrip():
                found.append(f"{path}:{number}: a blank at the end of the line")
    if path.suffix in CXX and not text.endswith("\n"):
        found.append(f"{path}:{len(lines)}: no newline at the end of the file")
    return found


def self_test() -> int:
    work, home = f"{_SLASH}work{_SLASH}x", f"{_SLASH}home{_SLASH}kim"
    good = [
        ("a.cpp", "int a;\n"),
        ("a.cpp", "// line\n" * MOST_LINES),
        ("a.md", "long\n" * 900),
        ("a.md", "tabs\tand blanks  \n"),
        ("a.md", f"see network{work}, ~{work} and $HOME{work}, or {_SLASH}home{_SLASH}user{_SLASH}.profile\n"),
        ("a.bin", f"\0{work}"),
    ]
    bad = [
        ("a.cpp", "// line\n" * (MOST_LINES + 1)),
        ("a.py", "# line\n" * (MOST_LINES + 1)),
        ("run", "#!/bin/sh\n" + ":\n" * MOST_LINES),
        ("a.cpp", "int\ta;\n"),
        ("a.hpp", "int a; \n"),
        ("a.hpp", "int a;\r\n"),
        ("a.cpp", "int a;"),
        ("a.md", f"see {work}\n"),
        ("a.json", f'"{home}"\n'),
        ("run", f"PATH=$PATH:{home}{_SLASH}bin\n"),
    ]
    wrong = [f"{name}: {text[:40]!r}" for name, text in good if complaints(Path(name), text.encode())]
    wrong += [f"{name}: {text[:40]!r}" for name, text in bad if not complaints(Path(name), text.encode())]
    with tempfile.TemporaryDirectory() as root:
        for folder in (".git", "build/release", "daemon"):
            file = Path(root, folder, "bad.cpp")
            file.parent.mkdir(parents=True)
            file.write_text("\t")
        if [path.as_posix() for path in project_files(Path(root))] != ["daemon/bad.cpp"]:
            wrong.append("the walk")
    for each in wrong:
        print(f"self-test: judged wrongly: {each}")
    print(f"{len(good) + len(bad) + 1} examples, {len(wrong)} judged wrongly")
    return 1 if wrong else 0


def main(arguments: list[str]) -> int:
    if arguments == ["--self-test"]:
        return self_test()
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    files = list(project_files(root))
    found = [each for path in files for each in complaints(path, (root / path).read_bytes())]
    print("\n".join(found + [f"{len(files)} files, {len(found)} complaints"]))
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
