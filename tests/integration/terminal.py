"""Terminals of the tests' own, as a terminal emulator has them, with a program on each."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from machine import DEADLINE, wait_until


def number_of(master):
    return struct.unpack('I', fcntl.ioctl(master, 0x80045430, b'\0' * 4))[0]  # TIOCGPTN


class Terminal:
    """A program on a new terminal, which controls its session."""

    def __init__(self, argv, env, rows=24, columns=80, cwd=None):
        # One that comes before the exec must not end in a handler of this program's.
        signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                for number in signals:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
                if cwd:
                    os.chdir(cwd)
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(127)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.name = f'/dev/pts/{number_of(self.master)}'
        self.status = None
        self.seen = b''   # all that came
        self.taken = 0    # how much of it expect() has passed

    def send(self, text):
        data = text.encode() if isinstance(text, str) else text
        end = time.monotonic() + DEADLINE
        os.set_blocking(self.master, False)
        while data:
            try:
                data = data[os.write(self.master, data):]
            except BlockingIOError:
                if time.monotonic() > end:
                    raise AssertionError(f'the terminal does not take {len(data)} more bytes') from None
                self.receive(0.02)

    def receive(self, timeout):
        """Reads what is there within the timeout. False at the end."""
        if not select.select([self.master], [], [], max(0, timeout))[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except BlockingIOError:
            return True
        except OSError:  # nobody has it open any more
            return False
        self.seen += data
        return bool(data)

    def expect(self, pattern, deadline=DEADLINE):
        """Waits until the pattern has been shown, behind what was found before; the match."""
        expression = re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
        end = time.monotonic() + deadline
        while True:
            match = expression.search(self.seen, self.taken)
            if match:
                self.taken = match.end()
                return match
            left = end - time.monotonic()
            if left < 0 or not self.receive(left):
                raise AssertionError(f'not shown within {deadline} s: {pattern!r}; after {self.seen[:self.taken][-200:]!r} came '
                                     f'{self.seen[self.taken:][-2000:]!r}')

    def shown(self):
        """All that has been shown, with plain line ends."""
        return self.seen.decode(errors='replace').replace('\r\n', '\n')

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def is_raw(self):
        return not termios.tcgetattr(self.master)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def modes(self):
        return termios.tcgetattr(self.master)[:4]

    def await_raw(self, raw=True):
        wait_until(lambda: self.is_raw() == raw, DEADLINE, lambda: f'raw is not {raw}; shown: {self.seen[-500:]!r}')

    def foreground(self):
        return os.tcgetpgrp(self.master)

    def wait(self, deadline=DEADLINE):
        """The exit status of the program, with all that it shows until then."""
        end = time.monotonic() + deadline
        while self.status is None:
            if time.monotonic() > end:
                raise AssertionError(f'no end within {deadline} s; shown: {self.seen[-2000:]!r}')
            self.poll()
            if self.status is None:
                if not self.receive(0.01):
                    time.sleep(0.001)
        while self.receive(0) and select.select([self.master], [], [], 0)[0]:
            pass
        return self.status

    def poll(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def close(self):
        """What a closed window does, and a kill for what does not mind."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
