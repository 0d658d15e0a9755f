"""A child that hangs before its program runs delays nobody."""

import os
import shutil
import signal
import time

from harness import Client, ProcdTest, all_pids, alone, parent_of, process_state, read_text, time_limit, wait_until


# A sanitizer's build takes longer for everything.
PROMPT = 0.1 if os.environ.get('PROCD_TEST_SANITIZED') else 0.010


class HangTest(ProcdTest):
    def assertPrompt(self, duration=0.5):
        """Another client is answered within 10 ms all the while, but for what a loaded machine, and strace where it traces
        procd's loop, add now and then; nothing comes near the seconds for which the child is held."""
        times = []
        end = time.monotonic() + duration
        with Client(self.procd.socket) as client:
            while time.monotonic() < end:
                begin = time.monotonic()
                client.call('hello')
                times.append(time.monotonic() - begin)
                time.sleep(0.01)
        times.sort()
        self.assertGreater(len(times), 5, times)
        self.assertLess(times[len(times) * 9 // 10], PROMPT, times[-5:])
        self.assertLess(times[-1], 10 * PROMPT, times[-5:])
        begin = time.monotonic()
        with Client(self.procd.socket) as client:
            client.call('hello')
        self.assertLess(time.monotonic() - begin, 0.5, 'a new connection')


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


class Held(HangTest):
    """strace holds every child in one of its system calls, between its birth and its program."""
    CALL = 'execve'
    DELAY = 3.0

    def setUp(self):
        if shutil.which('strace') is None:
            self.skipTest('needs strace')
        super().setUp()
        self.trace = self.path('trace')
        strace = self.procd.popen('strace', '-f', '-q', '-o', self.trace, '-e', f'trace={self.CALL}', '-e',
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


class SlowExec(Held):
    """As a dead network file system would hold it."""

    @alone
    @time_limit(90)
    def test_delays_nobody(self):
        client = self.client()
        begin = time.monotonic()
        spawning = client.request('spawn', {'command': ['/bin/sleep', '1000'], 'name': 'slow', 'daemon': True})
        self.assertPrompt(1.0)
        if not client.pending(spawning, 0):
            self.skipTest('strace did not hold the child')
        process = client.result(spawning)
        self.assertGreater(time.monotonic() - begin, self.DELAY * 0.9)
        self.assertEqual(client.status(process['id'])['state'], 'running')

    @alone
    @time_limit(90)
    def test_its_client_vanishes_meanwhile(self):
        client = self.client()
        spawning = client.request('spawn', {'command': ['/bin/sleep', '1000'], 'name': 'slow', 'daemon': True})
        if not client.pending(spawning, 0.3):
            self.skipTest('strace did not hold the child')
        client.close()
        self.assertPrompt(0.5)
        wait_until(lambda: not [p for p in self.procd.list() if p['state'] != 'exited'], self.DELAY + 15)

    @alone
    @time_limit(90)
    def test_asked_to_end_meanwhile(self):
        client = self.client()
        client.request('spawn', {'command': ['/bin/sleep', '1000'], 'name': 'slow'})
        ending = client.request('terminate', {'processes': ['slow'], 'wait': True})
        self.assertPrompt(0.5)
        self.assertEqual(client.result(ending, 30)['processes'][0]['exitcode'], -15)


class StoppedStart(Held):
    """Stopped by its user before it has become the program: it runs as that user already, and is theirs to signal."""
    CALL = 'chdir'  # the first after its uid is switched

    def stopped(self, spawning, client):
        if not client.pending(spawning, 0.3):
            self.skipTest('strace did not hold the child')
        pid, = [pid for pid in all_pids() if parent_of(pid) == self.procd.pid]
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
        pid = self.stopped(spawning, client)
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
        pid = self.stopped(spawning, client)
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
        pid = self.stopped(spawning, client)
        client.close()
        self.assertGone(pid)
        wait_until(lambda: not self.procd.list(), message='no record of it')
