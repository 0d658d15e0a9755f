"""What every integration test stands on: a private procd, clients for it, and the checks that it left nothing behind."""

import array
import collections
import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

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
    'created', 'started', 'ended', 'uptime', 'log'}


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


def stat_fields(pid):
    """Fields of /proc/PID/stat from the state on: [0] is field 3."""
    with open(f'/proc/{pid}/stat', 'rb') as f:
        return f.read().rpartition(b')')[2].split()


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

class RpcError(Exception):
    def __init__(self, error):
        self.error = error
        self.code = error.get('code')
        self.message = error.get('message', '')
        self.data = error.get('data') or {}
        self.kind = self.data.get('kind')
        super().__init__(f'{self.kind} ({self.code}): {self.message} {json.dumps(self.data)}')


class Disconnected(Exception):
    pass


class Client:
    """One line-by-line connection to procd. Not thread-safe; several requests may be outstanding."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(path)
        self.deadline = DEADLINE
        self.next_id = 1
        self.replies = {}           # by id, not yet asked for
        self.notifications = collections.deque()
        self.lines = collections.deque()   # (object, descriptors), arrived and not yet sorted
        self.buffer = b''
        self.buffer_fds = []
        self.fds = {}               # descriptors that came with a reply, by its id

    # -- sending
    def send_raw(self, data, fds=()):
        if isinstance(data, str):
            data = data.encode()
        view = memoryview(data)
        if fds:
            sent = self.sock.sendmsg([view], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
            view = view[sent:]
        if view:
            self.sock.sendall(view)

    def send(self, message, fds=()):
        self.send_raw(json.dumps(message, ensure_ascii=False) + '\n', fds)

    def request(self, method, params=None, fds=()):
        """Sends a request and returns its id at once."""
        number = self.next_id
        self.next_id += 1
        message = {'jsonrpc': '2.0', 'id': number, 'method': method}
        if params is not None:
            message['params'] = params
        self.send(message, fds)
        return number

    def notify(self, method, **params):
        self.send({'jsonrpc': '2.0', 'method': method, 'params': params})

    # -- receiving
    def recv(self, deadline=None):
        """The next line as an object, whatever it is. Raises Disconnected at the end of the stream."""
        return self.recv_with_fds(deadline)[0]

    def recv_with_fds(self, deadline=None):
        end = time.monotonic() + (self.deadline if deadline is None else deadline)
        while not self.lines:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.sock], [], [], left)[0]:
                raise AssertionError('no line from procd in time')
            self._read()
        return self.lines.popleft()

    def _read(self):
        chunk, ancillary, _, _ = self.sock.recvmsg(1 << 16, socket.CMSG_SPACE(253 * 4))
        if not chunk:
            raise Disconnected('procd closed the connection')
        fds = []
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array('i')
                numbers.frombytes(data[:len(data) - len(data) % numbers.itemsize])
                fds += numbers
        # Descriptors belong to the line that holds the last byte of what brought them.
        whole, newline, rest = chunk.rpartition(b'\n')
        if not newline:
            self.buffer += chunk
            self.buffer_fds += fds
            return
        parts = (self.buffer + whole).split(b'\n')
        owned = [[] for _ in parts]
        owned[0] = self.buffer_fds
        self.buffer, self.buffer_fds = rest, []
        if rest:
            self.buffer_fds = fds
        else:
            owned[-1] = owned[-1] + fds
        for part, part_fds in zip(parts, owned):
            self.lines.append((json.loads(part), part_fds))

    def _take(self, line, fds):
        if 'method' in line:
            self.notifications.append(line)
        else:
            self.replies[line.get('id')] = line
            if fds:
                self.fds[line.get('id')] = fds

    def reply(self, number, deadline=None):
        """The whole reply to a request."""
        end = time.monotonic() + (self.deadline if deadline is None else deadline)
        while number not in self.replies:
            self._take(*self.recv_with_fds(max(0, end - time.monotonic())))
        return self.replies.pop(number)

    def result(self, number, deadline=None):
        answer = self.reply(number, deadline)
        if 'error' in answer:
            raise RpcError(answer['error'])
        return answer['result']

    def pending(self, number, duration=0.05):
        """True while a request has no answer after `duration`."""
        end = time.monotonic() + duration
        while number not in self.replies:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return True
            self._take(*self.recv_with_fds())
        return False

    def notification(self, deadline=None):
        end = time.monotonic() + (self.deadline if deadline is None else deadline)
        while not self.notifications:
            self._take(*self.recv_with_fds(max(0, end - time.monotonic())))
        return self.notifications.popleft()

    # -- both
    def call(self, method, _fds=(), **params):
        return self.result(self.request(method, params, _fds))

    def error(self, method, _fds=(), **params):
        """The error a call must have."""
        try:
            result = self.call(method, _fds, **params)
        except RpcError as error:
            return error
        raise AssertionError(f'{method} succeeded: {result}')

    def spawn(self, *command, _fds=(), **params):
        return self.call('spawn', _fds, command=list(command), **params)

    def status(self, process):
        return self.call('status', process=process)

    def wait(self, *processes, **params):
        return self.call('wait', processes=list(processes), **params)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()
        for fds in self.fds.values():
            for fd in fds:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self.fds = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---------------------------------------------------------------------------------------------- procctl

class Outcome:
    """What a program printed and how it ended."""

    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    @property
    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f'stdout is not JSON ({error}): {self}') from None

    @property
    def kind(self):
        """The stable word of an error printed by --json, wherever in the object it stands."""
        return find_key(self.json, 'kind')

    def __repr__(self):
        return f'{" ".join(self.argv)}\n  exit {self.code}, {self.seconds:.3f} s\n  stdout: {self.out!r}\n  stderr: {self.err!r}'


def find_key(value, key):
    if isinstance(value, dict):
        if key in value:
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            found = find_key(item, key)
            if found is not None:
                return found
    return None


# ---------------------------------------------------------------------------------------------- procd

class Procd:
    """A procd of its own: socket, directory and cgroup are private. Leaving the context checks that nothing is left."""

    count = 0

    def __init__(self, *options, containment=None, env=None, directory_mode=0o700, nofile=None, started=True):
        self.options = list(options)
        self.containment = containment or os.environ.get('PROCD_TEST_CONTAINMENT', 'auto')
        self.env = env or {}
        self.directory_mode = directory_mode
        self.nofile = nofile
        self.started = started
        self.process = None
        self.cgroup = None
        self.clients = []
        self.programs = []
        self.baseline = collections.Counter()
        self.exit_expected = True
        self.expected_status = 0

    # -- start
    def __enter__(self):
        for path in (PROCD_BIN, PROCCTL_BIN):
            if not os.access(path, os.X_OK):
                raise AssertionError(f'{path} is not there: build it first')
        Procd.count += 1
        self.dir = tempfile.mkdtemp(prefix=f'procd-test-{os.getpid()}-')
        os.chmod(self.dir, self.directory_mode)
        self.socket = os.path.join(self.dir, 'procd.sock')
        self.log_dir = os.path.join(self.dir, 'log')
        self.stderr_path = os.path.join(self.dir, 'procd.stderr')
        self.bin_dir = os.path.join(self.dir, 'bin')
        os.mkdir(self.bin_dir)
        if self.directory_mode & 0o001:
            os.chmod(self.bin_dir, 0o755)
            shutil.copy(PROCCTL_BIN, os.path.join(self.bin_dir, 'procctl'))  # other users cannot look into the build tree
        else:
            os.symlink(PROCCTL_BIN, os.path.join(self.bin_dir, 'procctl'))
        self._make_cgroup()
        if self.started:
            try:
                self.start()
            except BaseException:
                self.cleanup()
                raise
        return self

    def _make_cgroup(self):
        mount = cgroup2_mount()
        if mount is None:
            return
        path = os.path.join(mount, f'procd-test-{os.getpid()}-{Procd.count}')
        try:
            os.mkdir(path)
        except OSError:
            return
        self.cgroup = path

    def command(self, *options, ready_fd=None):
        command = [PROCD_BIN, '-s', self.socket, '--log-dir', self.log_dir, '--containment', self.containment]
        if ready_fd is not None:
            command += ['--ready-fd', str(ready_fd)]
        return command + self.options + list(options)

    def _enter_group(self):
        if self.cgroup:
            with contextlib.suppress(OSError), open(os.path.join(self.cgroup, 'cgroup.procs'), 'w') as f:
                f.write('0')
        if self.nofile:
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))

    def start(self, *options):
        """Starts procd and returns when its socket answers."""
        reader, writer = os.pipe()
        try:
            with open(self.stderr_path, 'ab') as log:
                self.process = subprocess.Popen(
                    self.command(*options, ready_fd=writer), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    pass_fds=(writer,), env=self.daemon_environment(), preexec_fn=self._enter_group)
            os.close(writer)
            writer = -1
            if not select.select([reader], [], [], DEADLINE)[0] or not os.read(reader, 64):
                raise AssertionError(f'procd did not get ready:\n{read_text(self.stderr_path)}')
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)
        self._warm_up()
        return self

    def _warm_up(self):
        """One process comes and goes, so that what procd opens once and keeps is open; then the open files are counted."""
        first = self.kinds_of_files()
        with Client(self.socket) as client:
            limits = {'nofile': [self.nofile, self.nofile]} if self.nofile else None
            identity = client.spawn('/bin/true', name='warm-up', rlimits=limits, stdio={'stdout': 'null', 'stderr': 'null'})['id']
            client.wait(identity)
            client.call('close', processes=[identity])

        def settled():  # the connection goes a moment after its client
            self.baseline = self.kinds_of_files()
            return all(self.baseline[kind] <= first[kind] for kind in ('socket', 'pipe', 'anon_inode:[pidfd]'))
        wait_until(settled, 5, lambda: f'descriptors left of the first process: {self.baseline - first}')
        self.baseline['pipe'] = 0

    def daemon_environment(self):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(('PROCD_', 'LISTEN_', 'NOTIFY_', 'WATCHDOG_')) and k not in ('JOURNAL_STREAM', 'INVOCATION_ID')}
        env.update(self.env)
        return env

    @property
    def pid(self):
        return self.process.pid

    # -- speaking to it
    def environment(self, env=None):
        """What a user's shell would have."""
        result = {k: v for k, v in os.environ.items() if not k.startswith('PROCD_') and k != 'NO_COLOR'}
        result['PROCD_SOCKET'] = self.socket
        result['PATH'] = self.bin_dir + ':' + result.get('PATH', DEFAULT_PATH)
        for key, value in (env or {}).items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = value
        return result

    def run(self, argv, env=None, timeout=30, stdin=None, cwd=None, **options):
        """Runs a program that may use procctl, to its end."""
        begin = time.monotonic()
        program = subprocess.Popen(
            argv, env=self.environment(env), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, **options)
        try:
            out, err = program.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            program.kill()
            try:
                out, err = program.communicate(timeout=1)
            except subprocess.TimeoutExpired as expired:
                out, err = expired.stdout or b'', expired.stderr or b''
            raise AssertionError(f'no end within {timeout} s: {argv}\n  stdout: {out!r}\n  stderr: {err!r}') from None
        finally:
            if program.poll() is None:
                program.kill()
                program.wait()
            for stream in (program.stdin, program.stdout, program.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        return Outcome([str(a) for a in argv], program.returncode, out.decode(errors='replace'),
                       err.decode(errors='replace'), time.monotonic() - begin)

    def ctl(self, *args, **options):
        """Runs procctl to its end."""
        return self.run([os.path.join(self.bin_dir, 'procctl'), *map(str, args)], **options)

    def sh(self, script, *args, **options):
        """Runs a shell script that may call procctl."""
        return self.run(['bash', '-c', script, 'bash', *args], **options)

    def popen(self, *argv, env=None, **options):
        """A program in the background, killed at the end of the test at the latest. Its streams are unbuffered pipes."""
        options.setdefault('stdin', subprocess.PIPE)
        options.setdefault('stdout', subprocess.PIPE)
        options.setdefault('stderr', subprocess.PIPE)
        program = subprocess.Popen([str(a) for a in argv], env=self.environment(env), bufsize=0, **options)
        self.programs.append(program)
        return program

    def popen_ctl(self, *args, **options):
        return self.popen(os.path.join(self.bin_dir, 'procctl'), *args, **options)

    def client(self):
        client = Client(self.socket)
        self.clients.append(client)
        return client

    def status(self, process):
        """The process object, asked for on a connection of its own."""
        with Client(self.socket) as client:
            return client.status(process)

    def list(self, **filters):
        with Client(self.socket) as client:
            return client.call('list', **filters)['processes']

    def await_state(self, process, state='exited', deadline=DEADLINE):
        """Polls until a process is in the state; the process object."""
        with Client(self.socket) as client:
            last = {}

            def there():
                nonlocal last
                last = client.status(process)
                return last['state'] == state
            wait_until(there, deadline, lambda: f'state {state}; last seen {json.dumps(last)}')
            return last

    def cpu_seconds(self):
        fields = stat_fields(self.pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def resident_bytes(self):
        with open(f'/proc/{self.pid}/statm') as f:
            return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    # -- invariants
    def open_files(self):
        directory = f'/proc/{self.pid}/fd'
        found = []
        for name in os.listdir(directory):
            with contextlib.suppress(OSError):
                found.append(os.readlink(os.path.join(directory, name)))
        return found

    def zombies(self):
        found = []
        for pid in all_pids():
            try:
                fields = stat_fields(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] == b'Z' and int(fields[1]) == self.pid:
                found.append(pid)
        return found

    def tree_groups(self):
        """The groups of single processes that exist, by the name they have."""
        if not self.cgroup:
            return []
        return [path for path in subgroups(self.cgroup) if re.match(r'\d+-', os.path.basename(path))]

    def kinds_of_files(self):
        """How many of each: a socket is a socket whatever its number."""
        return collections.Counter(re.sub(r':\[\d+\]$', '', target) for target in self.open_files())

    def extra_files(self):
        return sorted((self.kinds_of_files() - self.baseline).elements())

    def end_all(self):
        """Ends every client and every process, so that procd is as idle as it was at its start."""
        for client in self.clients:
            client.close()
        self.clients = []
        for program in self.programs:
            if program.poll() is None:
                program.kill()
            program.wait()
            for stream in (program.stdin, program.stdout, program.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        self.programs = []
        if not self.running():
            return
        # One that is just being started is not seen among the living yet: so until nothing is left of any.
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.kill_all() == 0 and not self.extra_files(), 2)

    def kill_all(self):
        """Kills what lives and waits for its end; how many there were."""
        with Client(self.socket) as client:
            left = [p['id'] for p in client.call('list', fields=['id', 'state'])['processes'] if p['state'] in ('running', 'stopping')]
            if left:
                client.call('kill', processes=left)
                client.call('wait', processes=left, timeout=DEADLINE)
            return len(left)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def check_idle(self):
        """What must hold once all processes have ended and all clients have left."""
        self.end_all()
        if not self.running():
            return
        wait_until(lambda: not self.zombies(), 5, lambda: f'zombies of procd: {[describe(p) for p in self.zombies()]}')
        wait_until(lambda: not self.extra_files(), 5, lambda: f'descriptors procd did not close: {self.extra_files()}')
        wait_until(lambda: not self.tree_groups(), 5, lambda: f'groups left of ended processes: {self.tree_groups()}')

    def signal(self, number):
        os.kill(self.pid, number)

    def await_exit(self, deadline=DEADLINE):
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'procd did not stop within {deadline} s') from None

    def stop(self):
        """An orderly stop: asked once, and once more so that nothing is waited for."""
        if self.running():
            self.signal(signal.SIGTERM)
            if self.running():
                with contextlib.suppress(ProcessLookupError):
                    self.signal(signal.SIGTERM)
        status = self.await_exit()
        if self.exit_expected and status != self.expected_status:
            raise AssertionError(f'procd ended with status {status}, not {self.expected_status}')

    def check_stopped(self):
        """What must hold once procd has stopped."""
        if self.cgroup:
            def empty():
                return not cgroup_members(self.cgroup)
            wait_until(empty, 2, lambda: 'alive after procd stopped: '
                       + '; '.join(describe(p) for p in cgroup_members(self.cgroup)))
            left = subgroups(self.cgroup)
            if left:
                raise AssertionError(f'groups left after procd stopped: {left}')

        def alone():
            return not pids_with_environment(f'PROCD_SOCKET={self.socket}')
        wait_until(alone, 2, lambda: 'alive after procd stopped: ' + '; '.join(
            describe(p) for p in pids_with_environment(f'PROCD_SOCKET={self.socket}')))

    def cleanup(self):
        """Removes everything by force; never fails."""
        with contextlib.suppress(Exception):
            for client in self.clients:
                client.close()
            for program in self.programs:
                if program.poll() is None:
                    program.kill()
                    program.wait(5)
        with contextlib.suppress(Exception):
            if self.running():
                self.process.kill()
                self.process.wait(5)
        if self.cgroup:
            remove_cgroup(self.cgroup)
        for pid in pids_with_environment(f'PROCD_SOCKET={self.socket}'):
            if pid != os.getpid():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def finish(self, failed):
        """The end of a test. `failed`: show procd's log and only clean up."""
        try:
            if not failed and self.process is not None:
                failed = True
                self.check_idle()
                self.stop()
                self.check_stopped()
                failed = False
        finally:
            if failed:
                log = read_text(self.stderr_path)
                print(f'--- log of procd (its last lines)\n{log[-4000:]}--- end of the log of procd', file=sys.stderr, flush=True)
            self.cleanup()

    def __exit__(self, kind, value, trace):
        skipped = kind is not None and issubclass(kind, unittest.SkipTest)
        self.finish(kind is not None and not skipped)


# ---------------------------------------------------------------------------------------------- tests

def alone(function):
    """Runs after the others, with nothing beside it: for what measures time."""
    function.alone = True
    return function


def time_limit(seconds):
    def mark(function):
        function.time_limit = seconds
        return function
    return mark


def as_root(function):
    return unittest.skipUnless(os.geteuid() == 0, 'needs root')(function)


class ProcdTest(unittest.TestCase):
    """A test with a procd of its own as self.procd."""

    maxDiff = None
    options = ()
    settings = {}

    def setUp(self):
        self.procd = Procd(*self.options, **self.settings).__enter__()
        self.addCleanup(self._finish)
        self.dir = self.procd.dir
        self.ctl = self.procd.ctl

    def _finish(self):
        result = getattr(self._outcome, 'result', None)
        failed = result is not None and any(test is self for test, _ in result.errors + result.failures)
        self.procd.finish(failed)

    # -- what is in force
    def kind(self):
        """The containment in force: cgroup or subreaper."""
        with Client(self.procd.socket) as client:
            text = json.dumps(client.call('hello')['containment'])
        return 'subreaper' if 'subreaper' in text and not text.strip('"{').startswith('cgroup') else 'cgroup'

    def need_cgroup(self):
        if self.kind() != 'cgroup':
            self.skipTest('only with cgroups')

    # -- short forms
    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def client(self):
        return self.procd.client()

    def ok(self, *args, **options):
        """procctl that must succeed."""
        outcome = self.ctl(*args, **options)
        self.assertEqual(outcome.code, 0, outcome)
        return outcome

    def spawned(self, *args, **options):
        """procctl spawn -q …: the id."""
        return int(self.ok('spawn', '-q', *args, **options).out)

    def assertCode(self, outcome, code):
        self.assertEqual(outcome.code, code, outcome)

    def assertError(self, error, kind, code=None):
        self.assertEqual(error.kind, kind, error)
        if code is not None:
            self.assertEqual(error.code, code, error)

    def assertGone(self, pid, deadline=DEADLINE):
        wait_until(lambda: not lives(pid), deadline, lambda: f'the end of {describe(pid)}')

    def assertUnhurt(self):
        """procd still does its whole job."""
        self.assertTrue(self.procd.running(), 'procd has ended')
        with Client(self.procd.socket) as client:
            process = client.spawn('/bin/sh', '-c', 'exit 7', owner='procd')
            self.assertEqual(client.wait(process['id'])['processes'][0]['exitcode'], 7)

    def line(self, stream, deadline=DEADLINE):
        """One line from an unbuffered pipe, within the deadline."""
        end = time.monotonic() + deadline
        data = b''
        while not data.endswith(b'\n'):
            left = end - time.monotonic()
            if left < 0 or not select.select([stream], [], [], left)[0]:
                raise AssertionError(f'no line within {deadline} s; so far {data!r}')
            byte = stream.read(1)
            if not byte:
                raise AssertionError(f'end of the stream; so far {data!r}')
            data += byte
        return data.decode(errors='replace').rstrip('\n')


if __name__ == '__main__':
    print('cgroup2 mount:', cgroup2_mount(), 'usable:', cgroup_usable())
