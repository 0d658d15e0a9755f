"""A client of the wire: one JSON object a line, descriptors beside it."""

import array
import collections
import contextlib
import json
import os
import select
import socket
import time

from machine import DEADLINE


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
