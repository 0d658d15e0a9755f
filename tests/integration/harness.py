"""What test files use: ProcdTest, and all that is in machine, wire and instance."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import termios
import time
import unittest

from instance import *  # noqa: F401,F403
from machine import *  # noqa: F401,F403
from wire import *  # noqa: F401,F403


def alone(function):
    """Runs after the others, with nothing beside it: for what measures time."""
    function.alone = True
    return function


def unsanitized(function):
    """Not with a sanitizer's build, whose memory and time say nothing about the product's."""
    return unittest.skipIf(os.environ.get('PROCD_TEST_SANITIZED'), 'bounds of time and memory')(function)


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

    def terminal(self, *argv, columns=80, env=None):
        """Runs procctl on a terminal of its own; its exit status, and all that it shows."""
        pid, master = pty.fork()
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('4H', 24, columns, 0, 0))
            os.execvpe('procctl', ['procctl', *map(str, argv)], self.procd.environment(env))
        data, end = b'', time.monotonic() + DEADLINE
        try:
            while True:
                if not select.select([master], [], [], max(0, end - time.monotonic()))[0]:
                    os.kill(pid, signal.SIGKILL)
                    self.fail(f'no end; so far {data!r}')
                try:
                    chunk = os.read(master, 4096)
                except OSError:
                    break
                if not chunk:
                    break
                data += chunk
        finally:
            os.close(master)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return status, data.decode().replace('\r\n', '\n')

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
