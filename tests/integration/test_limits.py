"""What procd does when it, a user or the machine has no more of something: it says so, and nobody else notices."""

import contextlib
import errno
import os
import socket

from harness import ProcdTest, RpcError, alone, wait_until


class OutOfDescriptors(ProcdTest):
    settings = {'nofile': 64}

    @alone
    def test_look_ups_say_what_is_missing(self):
        """A look-up that failed for want of descriptors is no answer about who was looked up."""
        first = self.client()
        first.call('hello')
        late = self.client()   # who it is has not been looked up yet
        late.call('hello')
        crowd = []
        try:
            with contextlib.suppress(BlockingIOError):
                while len(crowd) < 200:
                    sock = socket.socket(socket.AF_UNIX)
                    crowd.append(sock)
                    sock.setblocking(False)
                    sock.connect(self.procd.socket)
            self.assertEqual(first.call('hello')['server'], 'procd')
            for client, params in ((late, {}), (first, {'owner': {'pid': os.getpid()}})):
                error = client.error('spawn', command=['/bin/true'], **params)
                self.assertEqual((error.kind, error.data['errno']), ('limit', errno.EMFILE), error)
                self.assertIn('Too many open files', error.message)
            self.assertEqual(late.error('whoami').kind, 'limit')
        finally:
            for sock in crowd:
                sock.close()

        def works_again():
            with contextlib.suppress(RpcError):
                return late.call('whoami')['process'] is None
        wait_until(works_again)
        limits = {'nofile': [64, 64]}
        self.assertEqual(late.wait(late.spawn('/bin/true', rlimits=limits, owner={'pid': os.getpid()})['id'])['processes'][0]['exitcode'], 0)
