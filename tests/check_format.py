#!/usr/bin/env python3
"""Fails on a C++ file that clang-format would change.

    check_format.py [ROOT]        checks
    check_format.py --fix [ROOT]  puts it right

Only version 14, Debian 12's, has a say: others break lines elsewhere. Without it: exit status 77, skipped.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from source_tree import cxx_files

SKIPPED = 77


def formatter() -> str | None:
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path is not None:
            version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if re.search(r"version 14\.", version):
                return path
    return None


def main(arguments: list[str]) -> int:
    fix = "--fix" in arguments
    roots = [argument for argument in arguments if argument != "--fix"]
    root = Path(roots[0]) if roots else Path(__file__).resolve().parent.parent
    clang_format = formatter()
    if clang_format is None:
        print("skipped: no clang-format 14 here (scripts/setup test brings it)")
        return SKIPPED
    files = [path.as_posix() for path in cxx_files(root)]
    if not files:
        print(f"no C++ file below {root}")
        return 1
    mode = ["-i"] if fix else ["--dry-run", "-Werror"]
    run = subprocess.run([clang_format, *mode, *files], cwd=root)
    if run.returncode != 0:
        print("to put it right: tests/check_format.py --fix")
    return 1 if run.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
