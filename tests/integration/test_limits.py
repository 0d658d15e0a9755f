"""What procd does when it, a user or the machine has no more of something: it says so, and nobody else notices."""

import contextlib
import errno
import json
import os
import shutil
import socket

from harness import (
    HELPERS_DIR, PROCD_BIN, PYTHON, Client, Disconnected, ProcdTest, RpcError, alone, as_root, assert_stays, read_text, unsanitized, wait_until)


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


class FullReactor(ProcdTest):
    settings = {'started': False}

    @unsanitized
    def test_nothing_more_can_be_watched(self):
        full = self.path('full')
        self.procd.env.update(LD_PRELOAD=os.path.join(HELPERS_DIR, 'full_reactor.so'), FULL_REACTOR=full)
        self.procd.start()
        first = self.client()
        first.call('hello')
        with open(full, 'w'):
            pass
        # Who comes is told, and the others are served.
        with Client(self.procd.socket) as late:
            answer = late.recv()
            self.assertEqual((answer['id'], answer['error']['data']['kind']), (None, 'limit'))
            self.assertIn('No space left on device', answer['error']['message'])
            with self.assertRaises(Disconnected):
                late.recv()
        # A process is started all the same, and its end seen.
        for script, code in (('exit 7', 7), ('sleep 0.05 & exit 3', 3)):
            ended = first.wait(first.spawn('/bin/sh', '-c', script)['id'])['processes'][0]
            self.assertEqual(ended['exitcode'], code)
        # A program whose end could not be noticed is nobody's owner.
        error = first.error('spawn', command=['/bin/true'], owner={'pid': os.getpid()})
        self.assertEqual((error.kind, error.data['errno']), ('limit', errno.ENOSPC))
        os.unlink(full)
        first.wait(first.spawn('/bin/true', owner={'pid': os.getpid()})['id'])
        self.assertUnhurt()


HOARD = '''
import array, json, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile()
def ask(method, _fds=(), **params):
    line = json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\\n"
    s.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", _fds))] if _fds else [])
    return json.loads(f.readline())
def until_refused(method, _fds=(), **params):
    made = []
    while len(made) < 100:
        answer = ask(method, _fds, **params)
        if "error" in answer:
            return [made, answer["error"]]
        made.append(answer["result"].get("id"))
    return [made, None]
def until_refused_with(count, method, _fds=(), **params):
    # What is given back counts until it is closed, which is a moment later.
    made, error, end = [], None, time.monotonic() + 5
    while len(made) < count and time.monotonic() < end:
        more, error = until_refused(method, _fds, **params)
        made += more
    return [made, error or until_refused(method, _fds, **params)[1]]
'''


@as_root
class Hoarder(ProcdTest):
    """A user who has procd keep things for him."""
    options = ('--socket-mode', '0666', '--max-descriptors', '10', '--max-record-bytes', '200000')
    settings = {'directory_mode': 0o755}

    def hoard(self, script):
        outcome = self.procd.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--', PYTHON, '-c', HOARD + script,
                                  self.procd.socket], cwd='/')
        self.assertCode(outcome, 0)
        return [json.loads(line) for line in outcome.out.splitlines()]

    def test_descriptors(self):
        first, sessions, after = self.hoard('''
first = until_refused("create", [0, 1, 2], command=["/bin/true"], fds=[0, 1, 2])
print(json.dumps(first))
ask("close", processes=first[0][:2])
print(json.dumps(until_refused_with(3, "session", [0, 1], stdio={"stdout": {"fd": 0}, "stderr": {"fd": 1}})))
ask("start", process=first[0][2])
print(json.dumps(until_refused_with(4, "create", [0], command=["/bin/true"], fds=[0])))''')
        self.assertEqual(len(first[0]), 3)
        self.assertEqual(first[1]['data']['kind'], 'limit')
        self.assertIn('max-descriptors, 10', first[1]['message'])
        self.assertEqual(len(sessions[0]), 3)
        self.assertEqual(len(after[0]), 4)
        self.assertUnhurt()
        # All of it is given back with the connection.
        self.assertEqual(len(self.hoard('''
print(json.dumps(until_refused_with(3, "create", [0, 1, 2], command=["/bin/true"], fds=[0, 1, 2])))''')[0][0]), 3)

    def test_record_bytes(self):
        made, error = self.hoard('''
print(json.dumps(until_refused("create", command=["/bin/echo", "x" * 20000], env=["K=" + "y" * 10000])))''')[0]
        self.assertEqual(len(made), 3)
        self.assertEqual(error['data']['kind'], 'limit')
        self.assertIn('max-record-bytes, 200000', error['message'])
        ended = self.hoard('''
for i in range(20):
    ask("spawn", command=["/bin/true", "x" * 20000], owner="procd", name="n%d" % i, stdio={"stdout": "null", "stderr": "null"})
    ask("wait", processes=["n%d" % i])
print(json.dumps([p["name"] for p in ask("list")["result"]["processes"]]))''')[0]
        self.assertIn('n19', ended)
        self.assertLess(len(ended), 6)


class SocketGone(ProcdTest):
    def test_the_socket_comes_back_when_its_directory_does(self):
        directory = self.path('gone', 'socket')
        os.makedirs(directory)
        path = os.path.join(directory, 's')
        log = self.path('other.stderr')

        def answers():
            with contextlib.suppress(OSError, Disconnected):
                with Client(path) as client:
                    return client.call('hello')['server'] == 'procd'
        with open(log, 'wb') as stderr:
            other = self.procd.popen(PROCD_BIN, '-s', path, '--log-dir', self.path('otherlog'), '--containment', 'subreaper', stderr=stderr)
        wait_until(answers)
        shutil.rmtree(self.path('gone'))
        wait_until(lambda: 'not in its place' in read_text(log))
        assert_stays(lambda: not os.path.exists(path), 0.5)
        os.mkdir(self.path('gone'))
        wait_until(answers)
        self.assertEqual(read_text(log).count('not in its place'), 1, read_text(log))
        os.unlink(path)
        wait_until(answers)
        other.terminate()
        self.assertEqual(other.wait(10), 0)
        self.assertFalse(os.path.exists(path))
