"""Following a log that is written at full speed and cut all the while: each line once, in order."""

import hashlib
import os
import subprocess

from harness import ProcdTest, alone, time_limit, wait_until

FIRST = 10_000_000  # so that all have eight digits
LINES = 500_000 if os.environ.get('PROCD_TEST_SANITIZED') else 10_000_000
LAST = FIRST + LINES - 1
BYTES = 9  # of a line
CUT = LINES * BYTES // 50


class Torrent(ProcdTest):
    def writer(self, keep):
        """A process that waits for a word in the FIFO, and then writes all lines as fast as it can."""
        gate = self.path('gate')
        os.mkfifo(gate)
        script = f'read x < {gate}; exec seq {FIRST} {LAST}'
        identity = self.spawned('--log-max', CUT, '--log-keep', keep, '--', 'sh', '-c', script)
        return identity, lambda: open(gate, 'w').write('\n')

    def pieces(self, log):
        """All pieces, the oldest first, and the log."""
        number = 1
        while os.path.exists(f'{log}.{number}'):
            number += 1
        return [f'{log}.{i}' for i in range(number - 1, 0, -1)] + [log]

    def assertWhole(self, identity):
        """All that was written is there: for procctl at any time, and in the files once the last cut is over."""
        script = f'procctl logs {identity} | cmp - <(seq {FIRST} {LAST}); echo ${{PIPESTATUS[*]}}'
        self.assertEqual(self.procd.sh(script, timeout=120).out, '0 0\n')
        log = self.procd.status(identity)['log']
        compare = f'cat "$@" | cmp - <(seq {FIRST} {LAST})'

        def whole():
            compared = subprocess.run(['bash', '-c', compare, 'bash', *self.pieces(log)], capture_output=True)
            return compared.returncode == 0
        wait_until(whole)
        self.assertGreater(len(self.pieces(log)), 24)  # dozens of cuts

    @alone
    @time_limit(300)
    def test_from_the_file(self):
        identity, begin = self.writer(100)
        script = f'procctl logs -f {identity} | cmp - <(seq {FIRST} {LAST}); echo ${{PIPESTATUS[*]}}'
        follower = self.procd.popen('bash', '-c', script)
        begin()
        out, err = follower.communicate(timeout=280)
        self.assertEqual((out, err), (b'0 0\n', b''))
        self.assertWhole(identity)

    @alone
    @time_limit(300)
    def test_over_the_wire(self):
        identity, begin = self.writer(100)
        c = self.client()
        number = c.request('logs', {'process': identity, 'follow': True})
        begin()
        seen, size = hashlib.sha256(), 0
        while size < LINES * BYTES:
            params = c.notification(deadline=60)['params']
            self.assertNotIn('dropped', params)
            self.assertTrue(params['data'].endswith('\n'))
            seen.update(params['data'].encode())
            size += len(params['data'])
        self.assertEqual(c.result(number), {})
        wanted = subprocess.run(['seq', str(FIRST), str(LAST)], capture_output=True).stdout
        self.assertEqual((size, seen.hexdigest()), (len(wanted), hashlib.sha256(wanted).hexdigest()))
        self.assertWhole(identity)

    @alone
    @time_limit(300)
    def test_who_is_overtaken_is_told_how_much_is_missing(self):
        identity, begin = self.writer(0)
        c = self.client()
        number = c.request('logs', {'process': identity, 'follow': True})
        begin()
        self.procd.await_state(identity, deadline=200)  # and nothing is read meanwhile
        result = c.result(number, deadline=60)
        expected, dropped = FIRST, 0
        for notification in c.notifications:
            params = notification['params']
            dropped += params.get('dropped', 0)
            expected += params.get('dropped', 0) // BYTES
            lines = params['data'].splitlines()
            self.assertTrue(lines == [str(i) for i in range(expected, expected + len(lines))], params['data'][:100])
            expected += len(lines)
        self.assertEqual((expected, dropped % BYTES), (LAST + 1, 0))
        self.assertGreater(dropped, 0)
        self.assertEqual(result['dropped'], dropped)
