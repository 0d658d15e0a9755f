"""A procd of a test's own, with everything that must hold of it when the test is over."""

import collections
import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from machine import (
    PROCD_BIN,
    PROCCTL_BIN,
    DEFAULT_PATH,
    DEADLINE,
    wait_until,
    lives,
    stat_fields,
    all_pids,
    pids_with_environment,
    describe,
    read_text,
    cgroup2_mount,
    remove_cgroup,
    cgroup_members,
    subgroups)
from wire import Client


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
        self.wrapper = []       # a program, with its arguments, that procd runs under
        self.warm = True        # whether a process comes and goes before the test
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
        command = self.wrapper + [PROCD_BIN, '-s', self.socket, '--log-dir', self.log_dir, '--containment', self.containment]
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
        if self.warm:
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

    def die(self):
        """A crash: what is left of it is removed at the end of the test, and not counted."""
        self.process.kill()
        self.process.wait()
        self.process = None

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
