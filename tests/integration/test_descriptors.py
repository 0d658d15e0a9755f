"""Of a life of procd no descriptor is left: not while it is idle (every test looks), and not at its end."""

import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import unittest

from harness import ProcdTest, read_text, time_limit, wait_until

EXIT_GROUP = {'x86_64': 231, 'aarch64': 94}


class Life(ProcdTest):
    """Everything that brings descriptors in, or makes some, and then an end in the middle of it."""

    def live(self):
        client, other = self.client(), self.client()
        client.call('hello')
        client.call('subscribe')
        null = os.open('/dev/null', os.O_RDWR)
        self.addCleanup(os.close, null)
        streams = {'stdout': {'fd': 0}, 'stderr': {'fd': 1}}

        # Descriptors that stay until the end: of sessions, of processes not started, of lines not finished.
        session = client.call('session', [null, null], stdio=streams)['session']
        ended = client.call('session', [null], stdio={'stdout': {'fd': 0}})['session']
        client.call('session.end', session=ended)
        client.call('create', [null, null, null], command=['true'], stdio=streams, fds=[2])
        closed = client.call('create', [null, null], command=['true'], stdio=streams)['id']
        client.call('close', processes=[closed])
        other.send_raw('{"id": 1, "method": "hello"', [null] * 5)
        idle = self.client()
        idle.half_close()

        # What is refused leaves nothing either.
        client.error('spawn', [null] * 253, command=['true'], stdio={'stdout': {'fd': 253}})
        client.error('spawn', [null], command=[], stdio={'stdout': {'fd': 0}})
        client.error('spawn', command=['true'], owner={'pidfd': 0})
        client.error('set', [null], process=closed, owner={'pidfd': 0})
        client.send_raw('not JSON\n', [null])
        self.assertError(client.error('wait', processes=['nobody']), 'no_such_process')
        return client, session

    def processes(self, client, session):
        """The part with processes: watched as owners, started, waited for, terminated, left alive."""
        own = os.pidfd_open(os.getpid())
        self.addCleanup(os.close, own)
        client.call('create', command=['true'], owner={'pid': os.getpid()})
        client.call('create', [own], command=['true'], owner={'pidfd': 0})
        log = client.spawn('sleep', '1000')
        here = client.spawn('sleep', '1000', owner={'session': session}, daemon=True)
        client.call('sentinel', process=log['id'])
        client.wait(client.spawn('true')['id'])
        client.call('terminate', processes=[log['id']], wait=True)
        self.assertError(client.error('spawn', command=['/nonexistent']), 'exec_failed')
        client.call('sentinel', process=log['id'])
        client.request('wait', {'processes': [here['id']]})
        self.assertCode(self.ctl('run', '--', 'true'), 0)
        self.assertCode(self.ctl('session', '--', 'sh', '-c', 'procctl spawn -q -- true'), 0)
        client.spawn('sleep', '1000')


class Valgrind(Life):
    """In valgrind's eyes. Its own kernel may lack what procd needs for processes: 3.19 has no clone3, no pidfd_open."""

    settings = {'started': False, 'containment': 'subreaper'}

    def setUp(self):
        if shutil.which('valgrind') is None:
            self.skipTest('needs valgrind')
        if os.environ.get('PROCD_TEST_SANITIZED'):
            self.skipTest('valgrind cannot run what a sanitizer has built')
        probe = subprocess.run(['valgrind', '--error-exitcode=9', '/bin/true'], capture_output=True, text=True)
        if probe.returncode != 0:
            self.skipTest('valgrind does not run here: ' + probe.stderr.strip()[-300:])
        super().setUp()
        self.report = self.path('valgrind')
        # Only what is surely lost: the stack of a thread that is just ending may look lost.
        self.procd.wrapper = ['valgrind', '--track-fds=yes', '--leak-check=full', '--errors-for-leak-kinds=definite',
                              f'--log-file={self.report}']
        self.procd.warm = False
        self.procd.start()

    @time_limit(120)
    def test_a_short_life(self):
        client, session = self.live()
        quiet = {'stdout': 'null', 'stderr': 'null'}  # valgrind lacks openat2, too, which a log is made with
        spawned = client.reply(client.request('spawn', {'command': ['true'], 'stdio': quiet}))
        if 'error' in spawned:
            data = spawned['error']['data']
            self.assertEqual((data['kind'], data['stage'], data['errno']), ('exec_failed', 'clone', errno.ENOSYS))
        else:
            self.processes(client, session)
        self.procd.signal(signal.SIGTERM)
        self.assertEqual(self.procd.await_exit(60), 0)

        report = read_text(self.report)
        self.assertRegex(report, r'ERROR SUMMARY: 0 errors ', report)
        self.assertRegex(report, r'FILE DESCRIPTORS: \d+ open', report)
        opened = re.findall(r'== Open (.*)\n==\d+==    (.*)\n', report)
        self.assertEqual([each for each in opened if each[1] != '<inherited from parent>'], [], report)


class AtTheEnd(Life):
    """The same with processes: strace holds procd in its last system call, where its descriptors are counted."""

    def setUp(self):
        if shutil.which('strace') is None:
            self.skipTest('needs strace')
        if os.uname().machine not in EXIT_GROUP:
            self.skipTest('needs the number of exit_group')
        super().setUp()

    @unittest.skipIf(os.environ.get('PROCD_TEST_SANITIZED'), 'a sanitizer looks for leaks at the end, which nobody may trace')
    def test_nothing_is_open(self):
        client, session = self.live()
        self.processes(client, session)
        pid = self.procd.pid
        strace = self.procd.popen('strace', '-q', '-o', self.path('trace'), '-e', 'trace=exit_group', '-e',
                                  'inject=exit_group:delay_enter=60000000', '-p', str(pid))

        def attached():
            if strace.poll() is not None:
                self.skipTest('strace cannot attach: ' + strace.stderr.read().decode())
            return f'TracerPid:\t{strace.pid}\n' in read_text(f'/proc/{pid}/status')
        wait_until(attached)
        self.procd.signal(signal.SIGTERM)
        self.procd.signal(signal.SIGTERM)
        number = str(EXIT_GROUP[os.uname().machine])
        wait_until(lambda: read_text(f'/proc/{pid}/syscall').split(' ')[0] == number)
        left = {}
        for name in os.listdir(f'/proc/{pid}/fd'):
            with contextlib.suppress(OSError):
                left[int(name)] = os.readlink(f'/proc/{pid}/fd/{name}')
        strace.kill()
        self.assertEqual(sorted(left), [0, 1, 2], left)
        self.assertEqual(self.procd.await_exit(), 0)


del Life  # its tests are those of the others
