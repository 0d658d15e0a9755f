"""What hangs delays nobody: a child before its program runs, a close."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import struct
import time

from harness import Client, ProcdTest, all_pids, alone, parent_of, process_state, read_text, run_delay, time_limit, wait_until


# A sanitizer's build takes longer for everything.
PROMPT = 0.1 if os.environ.get('PROCD_TEST_SANITIZED') else 0.010
PROBES = 20  # at least: fewer, and a slow one in ten would pass for the outlier


class HangTest(ProcdTest):
    def assertPrompt(self, duration=0.5):
        """Another client is answered within 10 ms all the while; one outlier is the machine's. The time for which procd's
        loop or this process was ready to run and had no processor is the machine's too, and does not count."""
        times = []
        end = time.monotonic() + duration
        with Client(self.procd.socket) as client:
            while time.monotonic() < end or len(times) < PROBES:
                delayed = self.run_delays()
                begin = time.monotonic()
                client.call('hello')
                took = time.monotonic() - begin
                times.append((took - (self.run_delays() - delayed), took))
                time.sleep(0.01)
        times.sort()
        self.assertLess(times[-2][0], PROMPT, times[-5:])
        self.assertLess(times[-1][0], 10 * PROMPT, times[-5:])
        begin = time.monotonic()
        with Client(self.procd.socket) as client:
            client.call('hello')
        self.assertLess(time.monotonic() - begin, 0.5, 'a new connection')

    def run_delays(self):
        return run_delay(self.procd.pid) + run_delay(os.getpid())


class Fifos(HangTest):
    @alone
    def test_as_stdin(self):
        fifo = self.path('fifo')
        os.mkfifo(fifo)
        client = self.client()
        spawning = client.request('spawn', {'command': ['/bin/cat'], 'stdio': {'stdin': {'file': fifo}}})
        self.assertPrompt()
        # It has started, or waits for a writer and starts as soon as there is one.
        writers = []

        def answered():
            fd = self.writer(fifo)
            if fd is not None:
                writers.append(fd)
            return not client.pending(spawning, 0.02)
        wait_until(answered)
        for fd in writers:
            os.close(fd)
        self.assertEqual(client.result(spawning)['state'], 'running')

    @staticmethod
    def writer(fifo):
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None

    @alone
    def test_as_stdout(self):
        fifo = self.path('fifo')
        os.mkfifo(fifo)
        client = self.client()
        spawning = client.request('spawn', {'command': ['/bin/echo', 'hello'], 'stdio': {'stdout': {'file': fifo}}})
        self.assertPrompt()
        # Without a reader it may be refused or wait for one, but it must not be lost.
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        reply = client.reply(spawning)
        if 'error' in reply:
            self.assertEqual(reply['error']['data']['kind'], 'exec_failed')
        os.close(reader)

    @alone
    def test_many(self):
        fifo = self.path('fifo')
        os.mkfifo(fifo)
        client = self.client()
        for _ in range(20):
            client.request('spawn', {'command': ['/bin/cat'], 'stdio': {'stdin': {'file': fifo}}, 'daemon': True})
        self.assertPrompt(0.3)
        self.assertUnhurt()


class SlowExec(HangTest):
    """An exec that hangs in the kernel, as a dead network file system would hold it: the program's file has a lease, which
    its holder does not give back. Nobody is traced meanwhile: a tracer stops procd's own threads, too, at every system call."""

    def setUp(self):
        super().setUp()
        self.program = self.path('sleep')
        shutil.copy('/bin/sleep', self.program)
        self.lease = os.open(self.program, os.O_RDONLY | os.O_CLOEXEC)
        self.addCleanup(self.let_go)
        try:
            fcntl.fcntl(self.lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            self.skipTest(f'no lease on a file in {self.dir}: {error}')
        fcntl.fcntl(self.lease, fcntl.F_SETSIG, signal.SIGURG)  # that it is wanted back: ignored, as SIGIO is not

    def let_go(self):
        if self.lease >= 0:
            os.close(self.lease)
        self.lease = -1

    def is_held(self):
        """Somebody waits in an exec: the lease is to be given back."""
        return fcntl.fcntl(self.lease, fcntl.F_GETLEASE) != fcntl.F_WRLCK

    @alone
    def test_delays_nobody(self):
        client = self.client()
        spawning = client.request('spawn', {'command': [self.program, '1000'], 'name': 'slow', 'daemon': True})
        self.assertPrompt(1.0)
        self.assertTrue(self.is_held())
        self.assertTrue(client.pending(spawning, 0))
        self.let_go()
        process = client.result(spawning)
        self.assertEqual(client.status(process['id'])['state'], 'running')

    @alone
    def test_its_client_vanishes_meanwhile(self):
        client = self.client()
        client.request('spawn', {'command': [self.program, '1000'], 'name': 'slow', 'daemon': True})
        wait_until(self.is_held)
        client.close()
        self.assertPrompt(0.5)
        self.let_go()
        wait_until(lambda: not [p for p in self.procd.list() if p['state'] != 'exited'])

    @alone
    def test_asked_to_end_meanwhile(self):
        client = self.client()
        client.request('spawn', {'command': [self.program, '1000'], 'name': 'slow'})
        ending = client.request('terminate', {'processes': ['slow'], 'wait': True})
        self.assertPrompt(0.5)
        self.assertTrue(self.is_held())
        self.assertTrue(client.pending(ending, 0))
        self.let_go()
        self.assertEqual(client.result(ending)['processes'][0]['exitcode'], -15)

    @alone
    def test_ended_meanwhile(self):
        client = self.client()
        spawning = client.request('spawn', {'command': [self.program, '1000'], 'name': 'slow'})
        wait_until(self.is_held)
        ending = client.request('terminate', {'processes': ['slow'], 'grace': 0.2})
        self.assertPrompt(0.5)
        error = client.reply(spawning)['error']
        self.assertEqual((error['data']['kind'], error['data']['stage']), ('exec_failed', 'exec'))
        client.reply(ending)
        wait_until(lambda: not self.procd.list(), message='no record of it')


class StoppedStart(HangTest):
    """Stopped by its user before it has become the program: it runs as that user already, and is theirs to signal.
    strace holds it until then, and nobody is traced any more when it is stopped."""
    CALL = 'chdir'  # the first after its uid is switched
    NUMBER = {'x86_64': '80', 'aarch64': '49'}[os.uname().machine]
    DELAY = 3.0

    def setUp(self):
        if shutil.which('strace') is None:
            self.skipTest('needs strace')
        super().setUp()
        strace = self.procd.popen('strace', '-f', '-q', '-o', self.path('trace'), '-e', f'trace={self.CALL}', '-e',
                                  f'inject={self.CALL}:delay_enter={int(self.DELAY * 1e6)}', '-p', str(self.procd.pid))
        self.strace = strace

        def attached():
            if strace.poll() is not None:
                self.skipTest('strace cannot attach: ' + strace.stderr.read().decode())
            return f'TracerPid:\t{strace.pid}\n' in read_text(f'/proc/{self.procd.pid}/status')
        wait_until(attached)
        # The threads that make children must be traced too.
        wait_until(lambda: all(f'TracerPid:\t{strace.pid}\n' in read_text(f'/proc/{self.procd.pid}/task/{t}/status')
                               for t in os.listdir(f'/proc/{self.procd.pid}/task')))

    def held(self):
        """The pid of the child that is in that call."""
        for pid in all_pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # others come and go
                if parent_of(pid) == self.procd.pid and read_text(f'/proc/{pid}/syscall').startswith(f'{self.NUMBER} '):
                    return pid
        return None

    def stopped(self):
        pid = wait_until(self.held)
        os.kill(pid, signal.SIGSTOP)
        self.strace.kill()
        self.strace.wait()
        wait_until(lambda: process_state(pid) == 'T')
        return pid

    @alone
    @time_limit(90)
    def test_delays_nobody(self):
        client = self.client()
        spawning = client.request('spawn', {'command': ['/bin/sleep', '1000'], 'name': 'stopped'})
        pid = self.stopped()
        self.assertPrompt(0.5)
        self.assertUnhurt()
        self.assertTrue(client.pending(spawning, 0))
        os.kill(pid, signal.SIGCONT)
        self.assertEqual(client.result(spawning)['state'], 'running')

    @alone
    @time_limit(90)
    def test_ended_meanwhile(self):
        client = self.client()
        spawning = client.request('spawn', {'command': ['/bin/sleep', '1000'], 'name': 'stopped'})
        pid = self.stopped()
        with Client(self.procd.socket) as other:
            other.call('kill', processes=['stopped'])
        error = client.reply(spawning)['error']
        self.assertEqual((error['data']['kind'], error['data']['stage']), ('exec_failed', 'chdir'))
        self.assertGone(pid)
        wait_until(lambda: not self.procd.list(), message='no record of it')

    @alone
    @time_limit(90)
    def test_its_client_vanishes_meanwhile(self):
        client = self.client()
        spawning = client.request('spawn', {'command': ['/bin/sleep', '1000'], 'name': 'stopped', 'daemon': True, 'grace': 0.2})
        pid = self.stopped()
        client.close()
        self.assertGone(pid)
        wait_until(lambda: not self.procd.list(), message='no record of it')


class SlowClose(HangTest):
    """A client brings a descriptor whose last close takes as long as the client likes: that delays nobody."""

    def setUp(self):
        super().setUp()
        with socket.create_server(('127.0.0.1', 0)) as listener:
            self.slow = socket.create_connection(listener.getsockname())
            self.peer = listener.accept()[0]
        self.addCleanup(self.peer.close)  # what was not read is lost, and nothing waits for it any more
        self.slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 30))
        with contextlib.suppress(BlockingIOError):
            while True:
                self.slow.send(b'x' * 65536, socket.MSG_DONTWAIT)

    def bring(self, client, data):
        self.procd.signal(signal.SIGSTOP)  # the last close is procd's
        client.send_raw(data, [self.slow.fileno()])
        self.slow.close()
        self.procd.signal(signal.SIGCONT)

    @alone
    def test_with_a_request(self):
        client = self.client()
        self.bring(client, b'{"jsonrpc":"2.0","id":1,"method":"hello"}\n')
        client.result(1)
        self.assertPrompt()

    @alone
    def test_with_a_line_that_is_not_whole(self):
        client = self.client()
        self.bring(client, b'{"jsonrpc"')
        wait_until(lambda: self.procd.extra_files().count('socket') == 2)  # the client's, and what it brought
        client.close()
        self.assertPrompt()

    @alone
    def test_of_a_session(self):
        client = self.client()
        self.bring(client, b'{"jsonrpc":"2.0","id":1,"method":"session","params":{"stdio":{"stdout":{"fd":0}}}}\n')
        client.result(1)
        client.close()
        self.assertPrompt()
