#!/usr/bin/env python3
"""Fails when the texts and the programs no longer say the same.

    check_docs.py [--procd PROGRAM] [--procctl PROGRAM] [ROOT]
    check_docs.py --self-test

Always: the man pages are good mdoc (where groff is there), and the links between our Markdown files lead
somewhere. With the programs: every verb and option that one of them knows is in its man page, and the other way
round.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from source_tree import project_files

OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")
FOR_EVERYONE = {"help", "help-all", "version"}  # these need no words


def plain(page: str) -> str:
    """A man page's text without its macros, near enough to find options in it: `.Fl -name` is --name."""
    text = re.sub(r'^\.\\".*$', "", page, flags=re.M)
    return re.sub(r"\bFl -|\| -(?=[a-z])|, Fl -", " --", text)


def documented_options(page: str) -> set[str]:
    return set(OPTION.findall(plain(page)))


def documented_verbs(page: str) -> set[str]:
    """What stands in a list item as a command: `.It Ic wait , join …` is wait and join."""
    verbs = set()
    for words in re.findall(r"^\.It Ic (.*)$", page, flags=re.M):
        head = re.split(r" (?:Oo|Op|Ar|Fl|Cm)\b", words)[0]
        verbs.update(word for word in head.split() if word != ",")
    return verbs


def help_verbs(text: str) -> set[str]:
    """The first words of the lines below a heading with "commands" in it; an alias stands after a comma or bar."""
    verbs, listing = set(), False
    for line in text.splitlines():
        if re.match(r"\S.*:\s*$", line):
            listing = "command" in line.lower() or "verb" in line.lower()
        elif listing and (match := re.match(r"\s{1,4}([a-z]+(?:(?:, ?| ?\| ?)[a-z]+)*)(?:\s|$)", line)):
            verbs.update(re.findall(r"[a-z]+", match.group(1)))
    return verbs


def help_of(program: str, *words: str) -> str:
    command = [program, *words, "--help"]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {run.returncode}: {run.stderr.strip()}")
    return run.stdout


def difference(what: str, page: str, in_page: set[str], in_program: set[str]) -> list[str]:
    return [f"{page}: {what} {name} is not documented" for name in sorted(in_program - in_page - FOR_EVERYONE)] + [
        f"{page}: {what} {name} is documented, but not in the program's help"
        for name in sorted(in_page - in_program - FOR_EVERYONE)
    ]


def check_procd(root: Path, program: str) -> list[str]:
    page = (root / "docs/procd.8").read_text()
    documented = documented_options(page.split(".Sh STOPPING")[0])  # further down it speaks of procctl's, too
    return difference("option", "docs/procd.8", documented, set(OPTION.findall(help_of(program))))


def check_procctl(root: Path, program: str) -> list[str]:
    page = (root / "docs/procctl.1").read_text()
    verbs = documented_verbs(page)
    main_help = help_of(program)
    known = set(re.findall(r"[a-z]+", main_help))  # wherever it stands: an alias may be in brackets
    found = difference("verb", "docs/procctl.1", verbs, help_verbs(main_help) | (verbs & known))
    options = set(OPTION.findall(main_help))
    for verb in sorted(verbs):
        options |= set(OPTION.findall(help_of(program, verb)))
    return found + difference("option", "docs/procctl.1", documented_options(page), options)


def check_man_pages(root: Path) -> list[str]:
    groff = shutil.which("groff")
    found = []
    for page in sorted((root / "docs").glob("*.[1-8]")) if groff else []:
        run = subprocess.run([groff, "-mandoc", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True)
        found += [f"{page.relative_to(root)}: {line}" for line in run.stderr.splitlines()]
    return found


def check_links(root: Path) -> list[str]:
    found = []
    for path in project_files(root):
        if path.suffix != ".md":
            continue
        text = re.sub(r"^```.*?^```", "", (root / path).read_text(), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            target = link.split("#")[0]
            if target and not re.match(r"[a-z]+:", target) and not (root / path.parent / target).exists():
                found.append(f"{path}: the link {link} leads nowhere")
    return found


def self_test() -> int:
    page = ".It Ic wait , join Oo Fl -any Oc Op Ar process\n.It Ic run Ar x\n"
    page += ".It Fl -daemon , Fl -no-daemon\n.Op Fl -wait | -now\n"
    text = "Options:\n  -h,--help   Help\n\n"
    text += "Subcommands:\n  wait, join   Waits\n  spawn    Starts --daemon\nNotes:\n  none\n"
    good = (
        documented_verbs(page) == {"wait", "join", "run"}
        and documented_options(page) == {"any", "daemon", "no-daemon", "wait", "now"}
        and help_verbs(text) == {"wait", "join", "spawn"}
        and set(OPTION.findall("-h,--help --no-daemon{false} a--b ---c [--env K=V]")) == {"help", "no-daemon", "env"}
        and len(difference("option", "page", {"a"}, {"b", "help"})) == 2
    )
    print("the self-test " + ("passed" if good else "FAILED"))
    return 0 if good else 1


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--procd")
    parser.add_argument("--procctl")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    found = check_man_pages(arguments.root) + check_links(arguments.root)
    try:
        if arguments.procd:
            found += check_procd(arguments.root, arguments.procd)
        if arguments.procctl:
            found += check_procctl(arguments.root, arguments.procctl)
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        found.append(str(error))
    print("\n".join(found + [f"{len(found)} differences"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
