"""What the tests of logs share: numbered lines, what is left of them in pieces and file, file systems of their own."""

import contextlib
import os
import subprocess

from harness import HELPERS_DIR, ProcdTest, wait_until

NUMBERS = os.path.join(HELPERS_DIR, 'helper_numbers')
LINE = 21
MEGA = 1 << 20


def numbered(first, count):
    return ''.join('%020d\n' % number for number in range(first, first + count)).encode()


def read_bytes(path):
    with open(path, 'rb') as f:
        return f.read()


def used_bytes(path):
    """What it takes of the disk; 0 where it is not there."""
    try:
        return os.stat(path).st_blocks * 512
    except FileNotFoundError:
        return 0


class Index:
    """Where the bytes of a log are, as its index says; that of a log that was never cut where there is none."""

    def __init__(self, log):
        self.sequence = self.base = self.start = self.first = 0
        with contextlib.suppress(FileNotFoundError):
            numbers = [int(text) for text in read_bytes(log + '.index').split()]
            if numbers:
                self.sequence, self.base, self.start, self.first, _generation, _origin, again = numbers
                assert self.sequence == again, numbers

    @property
    def cuts(self):
        return self.sequence // 2


def pieces(log):
    """The paths of its pieces, the newest first."""
    found = []
    while os.path.lexists(f'{log}.{len(found) + 1}'):
        found.append(f'{log}.{len(found) + 1}')
    return found


def left_of(log):
    """The bytes in pieces and file, in a row, and the number of the first of them in the stream."""
    index = Index(log)
    assert index.sequence % 2 == 0, index.sequence
    text = b''.join(read_bytes(piece) for piece in reversed(pieces(log)))
    return text + read_bytes(log)[index.start - index.base:], index.first


class LogsTest(ProcdTest):
    def numbers(self, count, together=3000, pause=0, **params):
        """A process that writes that many numbered lines to its log; pause: microseconds between two writes."""
        return self.client().spawn(NUMBERS, '0', str(count), str(together), str(pause), owner='procd', **params)

    def ended(self, process, code=0, deadline=50):
        """Its process object, once it has ended so and its log has been seen to for the last time."""
        answer = self.client().call('wait', processes=[process['id']], timeout=deadline)
        self.assertFalse(answer['timed_out'], answer)
        self.assertEqual(answer['processes'][0]['exitcode'], code, answer)
        self.let_go(process['log'])
        return answer['processes'][0]

    def let_go(self, log):
        """Waits until procd has seen to a log for the last time."""
        def open_logs():
            return [path for path in self.procd.open_files() if path.startswith(log)]
        wait_until(lambda: not open_logs(), message=lambda: f'procd to let go of {open_logs()}')

    def assertNumbered(self, log, count):
        """What is left of the log are the newest of `count` numbered lines, each once, in order, whole but for the first."""
        text, first = left_of(log)
        self.assertEqual(first + len(text), count * LINE)
        number = -(-first // LINE)
        expected = numbered(number, count - number)
        rest = text[number * LINE - first:]
        if rest != expected:  # not assertEqual: it would print all of it
            at = next(i for i in range(len(expected)) if rest[i:i + 1] != expected[i:i + 1])
            self.fail(f'line {number + at // LINE} is {rest[at - at % LINE:][:2 * LINE]!r}')
        return len(text)

    def memory(self, path, options):
        """A file system in memory on that directory, for this test."""
        os.makedirs(path, exist_ok=True)
        if os.geteuid() != 0:
            self.skipTest('needs root, to mount a tmpfs')
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', path], capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f'cannot mount a tmpfs: {mounted.stderr.strip()}')
        cleanup = self.procd.cleanup  # after procd has stopped, which holds its directory open

        def unmount_first():
            subprocess.run(['umount', '-l', path], check=True)
            cleanup()
        self.procd.cleanup = unmount_first
