"""Reading logs that were cut, and that their writers truncate then."""

import os
import signal

from harness import wait_until
from logs import Index, LogsTest

LIMIT = 65536


class Truncated(LogsTest):
    def setUp(self):
        super().setUp()
        fifo = self.path('fifo')
        os.mkfifo(fifo)
        self.process = self.client().spawn('/bin/cat', fifo, owner='procd', log={'max': LIMIT, 'keep': 1})
        self.id, self.log = self.process['id'], self.process['log']
        self.stream = open(fifo, 'wb', buffering=0)
        self.addCleanup(self.stream.close)
        self.next = 0
        self.cut()

    def write(self, count):
        """So many numbered lines more, which are in the log then. Returns them."""
        lines = [f'{number:015}' for number in range(self.next, self.next + count)]
        self.next += count
        before = Index(self.log).base + os.path.getsize(self.log)
        self.stream.write('\n'.join([*lines, '']).encode())
        wait_until(lambda: Index(self.log).base + os.path.getsize(self.log) >= before + 16 * count)
        return lines

    def cut(self):
        """Writes until the log is cut, and something behind that. Returns it all."""
        cuts = Index(self.log).cuts
        lines = self.write(LIMIT // 16 + 10)
        wait_until(lambda: Index(self.log).cuts > cuts and Index(self.log).sequence % 2 == 0)
        return lines + self.write(10)

    def truncate(self, told=True):
        """told: procd has heard of it then."""
        sequence = Index(self.log).sequence
        os.truncate(self.log, 0)
        if told:
            wait_until(lambda: Index(self.log).sequence > sequence)

    def test_from_its_new_beginning(self):
        self.truncate()
        lines = self.write(5)
        self.assertEqual(self.ok('logs', self.id).out.splitlines(), lines)
        c = self.client()
        number = c.request('logs', {'process': self.id})
        self.assertEqual(c.result(number), {})
        self.assertEqual(c.notifications[0]['params']['data'].splitlines(), lines)

    def test_a_follower_that_hears_of_it_late(self):
        follower = self.procd.popen_ctl('logs', '-f', '-n', 1, self.id)
        self.assertEqual(self.line(follower.stdout), f'{self.next - 1:015}')
        follower.send_signal(signal.SIGSTOP)
        self.cut()
        self.write(50)
        self.truncate()
        lines = self.write(100) + self.write(1000)
        follower.send_signal(signal.SIGCONT)
        self.assertEqual([self.line(follower.stdout) for _ in lines], lines)
        self.assertEqual(self.line(follower.stderr), 'procctl: the log was truncated by its writer: going on at its new beginning')
        lines = self.cut()
        self.stream.close()
        out, err = follower.communicate(timeout=50)
        self.assertEqual((out.decode().splitlines(), err), (lines, b''))

    def test_a_follower_that_hears_of_it_at_once(self):
        follower = self.procd.popen_ctl('logs', '-f', '-n', 1, self.id)
        self.assertEqual(self.line(follower.stdout), f'{self.next - 1:015}')
        for _ in range(5):
            self.truncate(told=False)
            self.assertEqual(self.line(follower.stderr),
                             'procctl: the log was truncated by its writer: going on at its new beginning')
            lines = self.write(32)  # whole blocks, as if they were cut off
            self.assertEqual([self.line(follower.stdout) for _ in lines], lines)
        lines = self.cut()
        self.stream.close()
        out, err = follower.communicate(timeout=50)
        self.assertEqual((out.decode().splitlines(), err), (lines, b''))

    def test_over_the_wire(self):
        c = self.client()
        c.request('logs', {'process': self.id, 'follow': True, 'lines': 1})

        def params():
            return c.notification()['params']
        self.assertEqual(params()['data'], f'{self.next - 1:015}\n')
        for _ in range(3):
            self.truncate()  # of which procd and its thread that reads may hear in any order
            expected, got, told = self.write(32) + self.cut(), [], 0
            while len(got) < len(expected):
                each = params()
                told += each.get('truncated', False)
                self.assertNotIn('dropped', each)
                got += each['data'].splitlines()
            self.assertEqual((got, told), (expected, 1))
        self.assertUnhurt()
