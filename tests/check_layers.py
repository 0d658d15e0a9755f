#!/usr/bin/env python3
"""Fails on an #include that goes against the arrows between the layers.

    check_layers.py [ROOT]       checks the tree
    check_layers.py --self-test  checks this check, on made-up trees

Debian puts every library's headers in /usr/include, where no link line keeps a layer from using them: so the
table below does. A layer may include the standard library, the libraries named and our own folders named.
"""

import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from source_tree import cxx_files

STANDARD = set(
    """
    algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes
    climits clocale cmath codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg
    cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype deque exception execution filesystem
    forward_list format fstream functional future initializer_list iomanip ios iosfwd iostream istream iterator
    latch limits list locale map memory memory_resource mutex new numbers numeric optional ostream queue random
    ranges ratio regex scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept
    stop_token streambuf string string_view strstream syncstream system_error thread tuple type_traits typeindex
    typeinfo unordered_map unordered_set utility valarray variant vector version
    """.split()
)

# Libraries, by the first part of the header's name. Any other header in angle brackets is the system's ("os").
LIBRARIES = {
    "asio": "asio",
    "asio.hpp": "asio",
    "nlohmann": "nlohmann",
    "spdlog": "spdlog",
    "fmt": "fmt",
    "CLI": "CLI11",
    "doctest": "doctest",
    "systemd": "libsystemd",
}

OUR_FOLDERS = {"base", "daemon", "client", "proto", "tests", "bench"}


@dataclass(frozen=True)
class Layer:
    place: str  # a folder, or the beginning of a file's path
    libraries: frozenset[str]
    own: tuple[str, ...]


def layer(place: str, libraries: str, own: str) -> Layer:
    return Layer(place, frozenset(libraries.split()), tuple(own.split()))


# The first place that fits a file counts.
LAYERS = [
    layer("base/", "os", "base/"),
    layer("daemon/core/", "", "daemon/core/"),
    layer("daemon/sys/", "os libsystemd", "daemon/sys/ base/"),
    layer("daemon/api/", "nlohmann", "daemon/api/ daemon/core/ proto/"),
    layer("daemon/state/", "nlohmann", "daemon/state/ daemon/core/ base/ proto/"),
    layer(
        "daemon/loop/",
        "asio spdlog fmt",
        "daemon/loop/ daemon/api/ daemon/core/ daemon/state/ daemon/sys/ base/ proto/",
    ),
    layer("daemon/options.", "os nlohmann spdlog fmt CLI11 libsystemd", "daemon/ base/ proto/"),
    layer("daemon/main.", "os nlohmann spdlog fmt libsystemd", "daemon/ base/ proto/"),
    layer("daemon/start.", "os nlohmann spdlog fmt libsystemd", "daemon/ base/ proto/"),
    layer("daemon/places.", "", "daemon/options.hpp daemon/places.hpp daemon/sys/"),
    layer("daemon/handover.", "", "daemon/handover.hpp daemon/loop/log.hpp daemon/state/ daemon/sys/ base/"),
    layer("proto/", "nlohmann", "proto/"),
    layer("client/lib/", "os nlohmann", "client/lib/ base/ proto/"),
    layer("client/procctl/", "os nlohmann CLI11", "client/ base/ proto/"),
    layer("tests/", "os nlohmann doctest", "tests/ daemon/ client/ base/ proto/"),
    layer("bench/", "os nlohmann", "bench/ daemon/sys/ client/ base/ proto/"),
]

INCLUDE = re.compile(r"\s*#\s*(?:include|include_next|import)\b\s*(.*)")
TARGET = re.compile(r'(?:<([^>]+)>|"([^"]+)")')


def broken_rule(path: str, target: str) -> str | None:
    """Why the file may not have this include (what stands behind #include), or None."""
    here = next((each for each in LAYERS if path.startswith(each.place)), None)
    if here is None:
        return "no layer is drawn for this file (see LAYERS in tests/check_layers.py)"
    match = TARGET.match(target)
    if match is None:
        return "cannot be read: name the header itself"
    angled, quoted = match.groups()
    header = angled or quoted
    first = header.split("/")[0]

    if first in OUR_FOLDERS and "/" in header:
        if quoted is None:
            return "our own headers are included with quotes"
        if ".." in header.split("/"):
            return "our own headers are included by their path from the root"
        if not header.startswith(here.own):
            return f"{here.place} may include of ours only {', '.join(here.own)}"
        return None
    if header in STANDARD:
        return None
    library = LIBRARIES.get(first, "os" if angled else None)
    if library is None:
        return "our own headers are included by their path from the root"
    if library not in here.libraries:
        what = "a system header" if library == "os" else library
        allowed = ", ".join(["the standard library", *sorted(here.libraries)])
        return f"{what} has no place in {here.place} (only {allowed})"
    return None


def check(root: Path) -> tuple[int, list[str]]:
    """The number of includes seen, and a sentence for each that breaks a rule."""
    seen, broken = 0, []
    for path in cxx_files(root):
        for number, line in enumerate((root / path).read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            if match is None:
                continue
            seen += 1
            why = broken_rule(path.as_posix(), match.group(1))
            if why is not None:
                broken.append(f"{path.as_posix()}:{number}: {line.strip()}: {why}")
    return seen, broken


GOOD = [
    ("daemon/core/process.cpp", '#include "daemon/core/process.hpp"'),
    ("daemon/core/process.hpp", "#include <chrono>"),
    ("daemon/sys/spawn.cpp", "#include <sys/wait.h>"),
    ("daemon/sys/spawn.cpp", "#include <linux/sched.h>"),
    ("daemon/sys/notify.cpp", "#include <systemd/sd-daemon.h>"),
    ("daemon/api/spawn.cpp", '#include "proto/messages.hpp"'),
    ("daemon/api/spawn.cpp", "#include <nlohmann/json.hpp>"),
    ("daemon/loop/session.cpp", "#include <asio/io_context.hpp>"),
    ("daemon/loop/session.cpp", "#  include <spdlog/spdlog.h>"),
    ("daemon/loop/session.cpp", '#include "daemon/sys/peer.hpp"'),
    ("daemon/main.cpp", '#include "daemon/loop/runtime.hpp"'),
    ("daemon/options.cpp", "#include <CLI/CLI.hpp>"),
    ("proto/enums.hpp", "#include <csignal>"),
    ("proto/codec.hpp", "#include <nlohmann/json.hpp>"),
    ("client/lib/connection.cpp", "#include <sys/socket.h>"),
    ("client/procctl/cli.cpp", "#include <CLI/CLI.hpp>"),
    ("client/procctl/cli.cpp", '#include "client/lib/connection.hpp"'),
    ("tests/unit/core_test.cpp", "#include <doctest/doctest.h>"),
    ("tests/helpers/exit_n.cpp", "#include <unistd.h>"),
    ("tests/sys/spawn_test.cpp", '// #include <asio.hpp>'),
]

BAD = [
    ("daemon/core/process.cpp", "#include <unistd.h>"),
    ("daemon/core/process.cpp", "#include <sys/types.h>"),
    ("daemon/core/process.cpp", "#include <signal.h>"),
    ("daemon/core/process.cpp", "#include <nlohmann/json.hpp>"),
    ("daemon/core/process.cpp", "#include <spdlog/spdlog.h>"),
    ("daemon/core/process.cpp", '#include "proto/enums.hpp"'),
    ("daemon/core/process.cpp", '#include "daemon/sys/spawn.hpp"'),
    ("daemon/core/process.cpp", '#include "process.hpp"'),
    ("daemon/core/process.cpp", '#include "daemon/core/../sys/spawn.hpp"'),
    ("daemon/core/process.cpp", "#include <daemon/core/process.hpp>"),
    ("daemon/core/process.cpp", "#include HEADER"),
    ("daemon/sys/spawn.cpp", "#include <asio.hpp>"),
    ("daemon/sys/spawn.cpp", '#include "daemon/core/process.hpp"'),
    ("daemon/sys/spawn.cpp", '#include "proto/enums.hpp"'),
    ("daemon/api/spawn.cpp", "#include <fcntl.h>"),
    ("daemon/api/spawn.cpp", "#include <asio/post.hpp>"),
    ("daemon/api/spawn.cpp", '#include "daemon/loop/runtime.hpp"'),
    ("daemon/api/spawn.cpp", '#include "daemon/sys/spawn.hpp"'),
    ("daemon/loop/session.cpp", "#include <CLI/CLI.hpp>"),
    ("daemon/loop/session.cpp", '#include "client/lib/connection.hpp"'),
    ("daemon/loop/session.cpp", "\t#\tinclude <poll.h>"),
    ("daemon/main.cpp", "#include <asio.hpp>"),
    ("daemon/main.cpp", "#include <CLI/CLI.hpp>"),
    ("daemon/other.cpp", "#include <string>"),
    ("proto/codec.hpp", "#include <asio/buffer.hpp>"),
    ("proto/codec.hpp", "#include <poll.h>"),
    ("proto/codec.hpp", '#include "daemon/core/process.hpp"'),
    ("client/lib/connection.cpp", "#include <CLI/CLI.hpp>"),
    ("client/lib/connection.cpp", "#include <asio.hpp>"),
    ("client/lib/connection.cpp", '#include "client/procctl/cli.hpp"'),
    ("client/procctl/cli.cpp", '#include "daemon/core/process.hpp"'),
    ("tests/unit/loop_test.cpp", "#include <asio.hpp>"),
    ("elsewhere/file.cpp", "#include <string>"),
]


def self_test() -> int:
    wrong = []
    for expected, examples in ((False, GOOD), (True, BAD)):
        for path, line in examples:
            with tempfile.TemporaryDirectory() as root:
                file = Path(root, path)
                file.parent.mkdir(parents=True)
                file.write_text(f"#pragma once\n{line}\n")
                if bool(check(Path(root))[1]) is not expected:
                    wrong.append(f"{path}: {line.strip()}: {'passed' if expected else 'failed'}")
    for each in wrong:
        print(f"self-test: {each}")
    print(f"{len(GOOD) + len(BAD)} examples, {len(wrong)} judged wrongly")
    return 1 if wrong else 0


def main(arguments: list[str]) -> int:
    if arguments == ["--self-test"]:
        return self_test()
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    seen, broken = check(root)
    print("\n".join(broken + [f"{seen} includes, {len(broken)} against the arrows"]))
    return 1 if broken or seen == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
