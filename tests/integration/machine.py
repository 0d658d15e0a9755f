"""This machine and its processes, as the tests look at them: waiting, /proc, cgroups."""

import contextlib
import os
import re
import select
import sys
import time


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('PROCD_BUILD_DIR', os.path.join(ROOT, 'build', 'release'))
PROCD_BIN = os.path.abspath(os.environ.get('PROCD_BIN', os.path.join(BUILD, 'daemon', 'procd')))
PROCCTL_BIN = os.path.abspath(os.environ.get('PROCCTL_BIN', os.path.join(BUILD, 'client', 'procctl')))
HELPERS_DIR = os.path.abspath(os.environ.get('HELPERS_DIR', os.path.join(BUILD, 'tests')))

# A python that any user can execute; a private one may live in a directory only its owner can enter.
PYTHON = '/usr/bin/python3' if os.access('/usr/bin/python3', os.X_OK) else sys.executable
DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

# How long anything may take that is not itself about time. Generous: sanitizers and loaded machines are slow.
DEADLINE = 20.0

PROCESS_FIELDS = {
    'id', 'name', 'pid', 'daemon', 'owner', 'state', 'alive', 'exitcode', 'result', 'uid', 'fate', 'command', 'cwd',
    'created', 'started', 'ended', 'uptime', 'log', 'log_stderr'}


# ---------------------------------------------------------------------------------------------- small tools

def wait_until(predicate, deadline=DEADLINE, message=None):
    """Polls until the predicate is true and returns its value; fails after `deadline` seconds."""
    end = time.monotonic() + deadline
    pause = 0.001
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            what = message() if callable(message) else message
            raise AssertionError(f'not within {deadline} s: {what or predicate}')
        time.sleep(pause)
        pause = min(pause * 1.5, 0.01)


def assert_stays(predicate, duration, message=None):
    """The predicate holds now and for the whole duration: the way to test that something does not happen."""
    end = time.monotonic() + duration
    while True:
        if not predicate():
            raise AssertionError(f'did not stay so for {duration} s: {message or predicate}')
        if time.monotonic() > end:
            return
        time.sleep(0.01)


def process_state(pid):
    """The state letter of a process, or None where there is none."""
    try:
        with open(f'/proc/{pid}/stat', 'rb') as f:
            return f.read().rpartition(b')')[2].split()[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return None


def lives(pid):
    return process_state(pid) not in (None, 'Z', 'X')


def comm_of(pid):
    return read_text(f'/proc/{pid}/comm').rstrip('\n')


def stat_fields(pid):
    """Fields of /proc/PID/stat from the state on: [0] is field 3."""
    with open(f'/proc/{pid}/stat', 'rb') as f:
        return f.read().rpartition(b')')[2].split()


def run_delay(pid):
    """For how many seconds, ever, the first thread of a process was ready to run and had no processor; 0 where the kernel
    does not count that."""
    fields = read_text(f'/proc/{pid}/task/{pid}/schedstat').split()
    return int(fields[1]) / 1e9 if fields else 0.0


def parent_of(pid):
    return int(stat_fields(pid)[1])


def cgroup_of(pid):
    """The path of a process in the cgroup2 hierarchy, as the kernel names it."""
    with open(f'/proc/{pid}/cgroup') as f:
        for line in f:
            if line.startswith('0::'):
                return line[3:].rstrip('\n')
    return None


def all_pids():
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]


def pids_with_environment(text):
    """Living processes that have this K=V in their environment."""
    found = []
    wanted = text.encode()
    for pid in all_pids():
        try:
            with open(f'/proc/{pid}/environ', 'rb') as f:
                if wanted in f.read().split(b'\0') and lives(pid):
                    found.append(pid)
        except OSError:
            continue
    return found


def describe(pid):
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as f:
            command = f.read().replace(b'\0', b' ').decode(errors='replace').strip()
    except OSError:
        command = '(gone)'
    return f'{pid} [{process_state(pid)}] {command[:200]}'


def read_text(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as f:
            return f.read()
    except FileNotFoundError:
        return ''


def wait_for_file(path, deadline=DEADLINE):
    """The content of a file that a child writes, once it ends with a newline."""
    wait_until(lambda: read_text(path).endswith('\n'), deadline, f'a whole line in {path}')
    return read_text(path)


def wait_for_pid_file(path):
    return int(wait_for_file(path).split()[0])


class Watched:
    """A process watched by pidfd, so that its end is seen at once and a reused pid is never mistaken for it."""

    def __init__(self, pid):
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    def ended(self, timeout=0):
        return bool(select.select([self.fd], [], [], timeout)[0])

    def await_end(self, deadline=DEADLINE):
        """The monotonic time at which it was seen to end."""
        if not self.ended(deadline):
            raise AssertionError(f'still alive after {deadline} s: {describe(self.pid)}')
        return time.monotonic()

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def cgroup2_mount():
    """(directory of the own cgroup2 group's mount) or None."""
    try:
        with open('/proc/self/mountinfo') as f:
            for line in f:
                left, _, right = line.partition(' - ')
                if right.split()[0] == 'cgroup2':
                    return re.sub(r'\\(\d{3})', lambda m: chr(int(m[1], 8)), left.split()[4])
    except OSError:
        pass
    return None


def cgroup_usable():
    """Whether a test can make a group and put a process in it."""
    mount = cgroup2_mount()
    if mount is None:
        return False
    path = os.path.join(mount, f'procd-test-probe-{os.getpid()}')
    try:
        os.mkdir(path)
    except OSError:
        return False
    try:
        return os.access(os.path.join(path, 'cgroup.procs'), os.W_OK)
    finally:
        os.rmdir(path)


def remove_cgroup(path):
    """Kills whoever is in a group and removes it with all below. Returns what was alive in it."""
    if not os.path.isdir(path):
        return []
    members = cgroup_members(path)
    if members:
        with contextlib.suppress(OSError), open(os.path.join(path, 'cgroup.kill'), 'w') as f:
            f.write('1')
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not cgroup_members(path), 5)
    for directory, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return members


def cgroup_members(path):
    members = []
    for directory, _, _ in os.walk(path):
        with contextlib.suppress(OSError), open(os.path.join(directory, 'cgroup.procs')) as f:
            members += [int(line) for line in f if int(line) and lives(int(line))]
    return members


def subgroups(path):
    return sorted(os.path.relpath(os.path.join(directory, name), path)
                  for directory, names, _ in os.walk(path) for name in names)


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


# ---------------------------------------------------------------------------------------------- raw client
