"""Whatever a client sends, it gets the right error, and nobody else notices."""

import array
import os
import resource
import select
import socket
import time

from harness import PROCD_BIN, Client, Disconnected, ProcdTest, alone, time_limit, wait_until, unsanitized

MIB = 1 << 20
# What was freed and is kept all the same, with its shadow: a sanitizer's default.
QUARANTINE = 288 * MIB if os.environ.get('PROCD_TEST_SANITIZED') else 0


class BadTest(ProcdTest):
    def setUp(self):
        super().setUp()
        self.c = self.client()
        self.c.call('hello')

    def raw(self, data, code, kind=None, number=None):
        """One line whose answer is this error; the connection lives on."""
        self.c.send_raw(data if data.endswith('\n' if isinstance(data, str) else b'\n') else data + ('\n' if isinstance(data, str) else b'\n'))
        reply = self.c.recv()
        self.assertIn('error', reply)
        self.assertEqual(reply['error']['code'], code, reply)
        self.assertIn(reply['id'], number if isinstance(number, tuple) else (number,), reply)
        self.assertTrue(reply['error']['data']['kind'])
        self.assertTrue(reply['error']['message'])
        if kind:
            self.assertEqual(reply['error']['data']['kind'], kind)
        self.assertEqual(self.c.call('hello')['server'], 'procd')


class Lines(BadTest):
    def test_not_json(self):
        for line in ('hello', '{', '{"id":1,"method":"hello"', "{'id':1}", '{"id":1,}', 'nul', '{"id":1,"method":"hello"} x', '"', '01', 'NaN',
                     '{"id":1,"method":"hello","params":{"x":Infinity}}', '\ufeff{"id":1'):
            self.raw(line, -32700, 'parse_error')

    def test_json_but_no_object(self):
        for line in ('5', '"hello"', 'true', 'null', '[]', '[1,2]'):
            self.raw(line, -32600, 'invalid_request')

    def test_no_request(self):
        for line in ('{}', '{"id":1}', '{"id":1,"method":5}', '{"id":1,"method":null}', '{"id":1,"params":{}}', '{"jsonrpc":2,"id":1,"method":"hello"}'):
            self.c.send_raw(line + '\n')
            reply = self.c.recv()
            self.assertEqual((reply['error']['code'], reply['error']['data']['kind']), (-32600, 'invalid_request'), line)
        self.assertUnhurt()

    def test_ids_of_a_wrong_type(self):
        for number in ('[1]', '{}', 'true', '[]'):
            self.raw('{"jsonrpc":"2.0","id":' + number + ',"method":"hello"}', -32600, 'invalid_request')

    def test_parameters_that_are_no_object(self):
        for params in ('[]', '5', '"x"', 'true', '[["/bin/true"]]'):
            self.c.send_raw('{"id":1,"method":"list","params":' + params + '}\n')
            # By position or not an object at all: the envelope or the parameters, both are client mistakes.
            self.assertIn(self.c.recv()['error']['code'], (-32600, -32602), params)
        self.assertUnhurt()

    def test_unknown_method(self):
        self.raw('{"id":1,"method":"bogus"}', -32601, 'no_such_method', 1)
        self.raw('{"id":1,"method":""}', -32601, 'no_such_method', 1)
        self.raw('{"id":1,"method":"Hello"}', -32601, 'no_such_method', 1)

    def test_nul_inside(self):
        self.raw(b'{"id":1,\0"method":"hello"}', -32700)
        self.raw(b'{"id":1,"method":"he\0llo"}', -32700)
        self.raw(b'\0', -32700)
        self.c.send_raw(b'{"id":1,"method":"hel\\u0000lo"}\n')
        self.assertEqual(self.c.recv()['error']['code'], -32601)

    def test_invalid_utf8(self):
        for data in (b'{"id":1,"method":"\xff"}', b'\xff\xfe', b'{"id":1,"method":"hello\xc3"}', b'{"id":1,"method":"\xed\xa0\x80"}',
                     b'{"id":1,"method":"\xc0\xaf"}'):
            self.raw(data, -32700, 'parse_error')

    def test_lone_surrogates(self):
        self.c.send_raw('{"id":1,"method":"spawn","params":{"command":["\\ud800"]}}\n')
        self.assertIn(self.c.recv()['error']['code'], (-32700, -32602))
        self.assertUnhurt()

    @time_limit(120)
    def test_a_line_of_10_mib(self):
        self.c.send_raw(b'{"id":1,"method":"hello","params":{"x":"' + b'x' * (10 * MIB) + b'"}}\n{"id":2,"method":"hello"}\n')
        reply = self.c.recv()
        self.assertEqual((reply['error']['code'], reply['error']['data']['kind']), (-32600, 'too_large'))
        self.assertEqual(self.c.recv()['id'], 2)
        self.assertUnhurt()

    @time_limit(120)
    def test_a_line_just_below_the_limit(self):
        self.c.send_raw(b'{"id":1,"method":"hello"' + b' ' * (8 * MIB - 1000) + b'}\n')
        self.assertEqual(self.c.recv()['result']['server'], 'procd')

    @time_limit(120)
    def test_a_line_that_never_ends(self):
        rival = self.client()
        for _ in range(64):
            self.c.send_raw(b'x' * MIB)
            self.assertEqual(rival.call('hello')['server'], 'procd')
        self.assertLess(self.procd.resident_bytes(), 200 * MIB + QUARANTINE)
        self.c.send_raw(b'\n{"id":2,"method":"hello"}\n')
        self.assertEqual(self.c.recv()['error']['data']['kind'], 'too_large')
        self.assertEqual(self.c.recv()['id'], 2)

    def test_nested_200000_deep(self):
        n = 200_000
        self.raw('{"id":1,"method":"hello","params":{"x":' + '[' * n + ']' * n + '}}', -32600, 'invalid_request', (None, 1))
        self.raw('[' * n + ']' * n, -32600, 'invalid_request')
        self.raw('{"a":' * n + '1' + '}' * n, -32600, 'invalid_request')
        for data in ('[' * n, '{"a":' * n):
            self.c.send_raw(data + '\n')
            self.assertIn(self.c.recv()['error']['code'], (-32600, -32700))
        self.assertUnhurt()

    def test_nested_65_deep(self):
        def nested(depth):
            return '{"id":1,"method":"hello","params":{"x":' + '[' * (depth - 2) + ']' * (depth - 2) + '}}'
        self.raw(nested(66), -32600, 'invalid_request', (None, 1))
        self.raw(nested(60), -32602, 'bad_request', 1)

    @alone
    @time_limit(240)
    @unsanitized
    def test_a_million_short_bad_lines(self):
        count, sent, answered = 1_000_000, 0, 0
        data = memoryview(b'x\n' * count)
        rival = self.client()
        self.c.sock.setblocking(False)
        asked = time.monotonic()
        slowest = 0
        while answered < count:
            readable, writable, _ = select.select([self.c.sock], [self.c.sock] if sent < len(data) else [], [], 30)
            self.assertTrue(readable or writable, f'{answered} answers and then silence')
            if writable:
                sent += self.c.sock.send(data[sent:sent + 65536])
            if readable:
                chunk = self.c.sock.recv(MIB)
                self.assertTrue(chunk, 'procd closed the connection')
                answered += chunk.count(b'\n')
            if time.monotonic() - asked > 0.5:
                asked = time.monotonic()
                rival.call('hello')
                slowest = max(slowest, time.monotonic() - asked)
        self.assertEqual(answered, count)
        self.assertLess(slowest, 1, 'another client must not notice')
        self.assertLess(self.procd.resident_bytes(), 200 * MIB + QUARANTINE)
        self.c.sock.setblocking(True)
        self.assertUnhurt()


class Parameters(BadTest):
    def bad(self, method, **params):
        self.assertError(self.c.error(method, **params), 'bad_request', -32602)

    def test_missing(self):
        for method in ('create', 'spawn', 'start', 'status', 'rename', 'wait', 'terminate', 'kill', 'interrupt', 'signal', 'close', 'sentinel',
                       'session.end', 'set'):
            self.bad(method)
        self.bad('rename', process=1)
        self.bad('signal', processes=[1])

    def test_wrong_types(self):
        for value in (5, 'true', {}, [], [[]], [5], [None], ['/bin/true', 5], [{'base64': 5}], True):
            self.bad('spawn', command=value)
        for field, values in {'name': (5, [], {}, True), 'daemon': (1, 'true', [], 0), 'owner': (5, [], True), 'cwd': (5, [], {}), 'umask': (18, [], '8', '1000', 'x', ''),
                              'grace': ('1', [], True, -1, -0.5), 'kill_mode': ('bogus', 5, ''), 'leftovers': ('bogus', 5, True),
                              'unique': (1, 'yes'), 'fds': (5, {}, ['a'], [-1], [1.5]), 'stdio': (5, [], 'null', {'stdin': 'bogus'}, {'stdout': 5},
                              {'stdin': 'stdout'}, {'stdout': 'stdout'}, {'bogus': 'null'}, {'stdout': {}}, {'stdout': {'fd': 0, 'file': '/x'}},
                              {'stdout': {'fd': -1}}, {'stdout': {'file': 5}}, {'stdout': {'file': '/x', 'append': 'yes'}})}.items():
            for value in values:
                self.bad('spawn', command=['/bin/true'], **{field: value})
        for value in (5, 'x', {}, [], [[]], [None], [True], [1.5], [{}], [{'name': 5}]):
            self.bad('wait', processes=value)
        for value in ([], {}, True, 1.5, None):
            self.bad('status', process=value)
        self.bad('list', alive='yes')
        self.bad('list', fields='id')
        self.bad('subscribe', since='x')
        self.bad('shutdown', now='yes')
        self.assertEqual(self.c.call('list')['processes'], [])

    def test_numbers_out_of_range(self):
        process = self.c.spawn('/bin/sleep', '1000')['id']
        for timeout in (-1, -0.001, '1'):
            self.bad('wait', processes=[process], timeout=timeout)
        for number in (0, 65, -1, 2 ** 31, 2 ** 32 + 15, 'BOGUS', 'SIG', '', 'RTMIN+99', 1.5, 9.0e99):
            self.bad('signal', processes=[process], signal=number)
        for pid in (0, -1, 2 ** 31, 2 ** 32 + os.getpid(), 1.5):
            self.bad('spawn', command=['/bin/true'], owner={'pid': pid})
        for index in (-1, 2 ** 31, 2 ** 32, 2 ** 63, 2 ** 64, 0.5):
            self.bad('spawn', command=['/bin/true'], fds=[index])
        for identity in (-1, 0, 2 ** 53, 2 ** 62):
            error = self.c.error('status', process=identity)
            self.assertIn(error.kind, ('no_such_process', 'bad_request'))
        self.c.send_raw('{"id":1,"method":"status","params":{"process":123456789012345678901234567890}}\n')
        self.assertIn(self.c.recv()['error']['data']['kind'], ('no_such_process', 'bad_request'))
        self.c.send_raw('{"id":1,"method":"wait","params":{"processes":[%d],"timeout":1e999}}\n' % process)
        self.assertIn(self.c.recv()['error']['code'], (-32600, -32602, -32700))
        self.assertTrue(self.c.status(process)['alive'])

    def test_a_very_long_time_is_no_error(self):
        process = self.c.spawn('/bin/sleep', '1000')['id']
        waiting = self.c.request('wait', {'processes': [process], 'timeout': 1e300})
        self.assertTrue(self.c.pending(waiting, 0.1))
        self.c.call('terminate', processes=[process], grace=1e18)
        self.assertFalse(self.c.result(waiting)['timed_out'])

    def test_names(self):
        for name in ('12', '0', 'a\nb', 'a\x1bb', 'a\x7fb', 'a\x00b', 'a\u0085b', 'x' * 256, 'é' * 128):
            self.bad('spawn', command=['/bin/true'], name=name)
        for name in ('x' * 255, 'é' * 127, '12a', '1 2', '-1', '#3', '测试', '../..', 'a/b', '.', '%', ' '):
            self.assertEqual(self.c.spawn('/bin/true', name=name)['name'], name)

    def test_commands(self):
        self.bad('spawn', command=[])
        error = self.c.error('spawn', command=[''])
        self.assertIn(error.kind, ('bad_request', 'exec_failed'))
        for command, errno in (('/nonexistent', 2), ('/etc', 13), ('/etc/passwd', 13), ('/etc/passwd/x', 20)):
            error = self.c.error('spawn', command=[command])
            self.assertError(error, 'exec_failed', 1)
            self.assertEqual(error.data['errno'], errno)
        self.assertEqual(self.c.call('list')['processes'], [])

    def test_a_directory_that_is_gone(self):
        gone = self.path('gone')
        for make in (None, 'file'):
            if make:
                with open(gone, 'w'):
                    pass
            error = self.c.error('spawn', command=['/bin/true'], cwd=gone)
            self.assertError(error, 'exec_failed', 1)
            self.assertEqual(error.data['errno'], 20 if make else 2)
        self.assertNotEqual(self.c.error('spawn', command=['/bin/true'], cwd=gone).data['stage'],
                            self.c.error('spawn', command=['/nonexistent']).data['stage'])

    def test_arguments_of_2_mib(self):
        error = self.c.error('spawn', command=['/bin/true', 'x' * (2 * MIB)])
        self.assertError(error, 'exec_failed', 1)
        self.assertEqual(error.data['errno'], 7)
        error = self.c.error('spawn', command=['/bin/true'] + ['x' * 100_000] * 30)
        self.assertError(error, 'exec_failed', 1)
        self.assertUnhurt()

    def test_a_relative_path_needs_no_working_directory(self):
        self.assertError(self.c.error('spawn', command=['./nothing']), 'exec_failed')
        self.assertIn(self.c.error('spawn', command=['/bin/true'], cwd='relative/nothing').kind, ('bad_request', 'exec_failed'))


class Descriptors(BadTest):
    def descriptors(self):
        return len(self.procd.open_files())

    def test_index_without_descriptor(self):
        for params in ({'fds': [0]}, {'stdio': {'stdin': {'fd': 0}}}, {'owner': {'pidfd': 0}}, {'fds': [5]}):
            self.assertError(self.c.error('spawn', command=['/bin/true'], **params), 'bad_request', -32602)
        with open('/dev/null') as null:
            self.assertError(self.c.error('spawn', [null.fileno()], command=['/bin/true'], fds=[1]), 'bad_request', -32602)
        self.assertError(self.c.error('session', stdio={'stdout': {'fd': 0}}), 'bad_request', -32602)
        self.assertEqual(self.c.call('list')['processes'], [])

    def test_a_pidfd_that_is_none(self):
        with open('/dev/null') as null:
            self.assertError(self.c.error('spawn', [null.fileno()], command=['/bin/true'], owner={'pidfd': 0}), 'bad_request')

    def test_253_surplus_descriptors(self):
        self.c.wait(self.c.spawn('/bin/true')['id'])   # what procd opens for a client that owns something is open now
        before = self.descriptors()
        with open('/dev/null') as null:
            self.assertEqual(self.c.call('hello', [null.fileno()] * 253)['server'], 'procd')
            self.c.send_raw(b'not json\n', [null.fileno()] * 253)
            self.assertEqual(self.c.recv()['error']['code'], -32700)
            self.c.send_raw(b'\n', [null.fileno()] * 253)
            self.assertEqual(self.c.call('hello')['server'], 'procd')
            process = self.c.spawn('/bin/true', _fds=[null.fileno()] * 253)
            self.c.wait(process['id'])
        wait_until(lambda: self.descriptors() <= before, 5, lambda: f'{self.descriptors()} open, {before} before')

    def test_descriptors_of_a_line_that_never_comes(self):
        before = self.descriptors()
        with open('/dev/null') as null:
            rival = self.client()
            rival.send_raw(b'{"id":1,', [null.fileno()] * 200)
            rival.close()
        wait_until(lambda: self.descriptors() <= before, 5, lambda: f'{self.descriptors()} open, {before} before')
        self.assertUnhurt()

    def test_descriptors_without_end(self):
        with open('/dev/null') as null:
            rival = self.client()
            rival.sock.setblocking(False)
            for _ in range(60):
                try:
                    rival.sock.sendmsg([b' '], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [null.fileno()] * 253))])
                except (BlockingIOError, BrokenPipeError, ConnectionResetError, OSError):
                    break
            self.assertUnhurt()
            self.assertLess(self.descriptors(), 5000, 'what one client may leave open has a bound')


class Clients(BadTest):
    @alone
    @time_limit(120)
    @unsanitized
    def test_sends_and_never_reads(self):
        rival = self.client()
        greedy = self.client()
        greedy.sock.setblocking(False)
        request = b'{"id":1,"method":"rpc.discover"}\n' * 1000
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                greedy.sock.send(request)
            except BlockingIOError:
                if not select.select([], [greedy.sock], [], 0.5)[1]:
                    break
            except (BrokenPipeError, ConnectionResetError):
                break
            begin = time.monotonic()
            rival.call('hello')
            self.assertLess(time.monotonic() - begin, 1)
        self.assertLess(self.procd.resident_bytes(), 300 * MIB + QUARANTINE)
        self.assertUnhurt()

    @alone
    @time_limit(120)
    def test_a_thousand_idle_clients(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2000:
            self.skipTest('not enough descriptors for a thousand clients')
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
        idle = [self.client() for _ in range(1000)]
        self.assertUnhurt()
        cpu, begin = self.procd.cpu_seconds(), time.monotonic()
        while time.monotonic() - begin < 0.5:
            begin_call = time.monotonic()
            self.c.call('hello')
            self.assertLess(time.monotonic() - begin_call, 0.5)
            time.sleep(0.05)
        self.assertLess(self.procd.cpu_seconds() - cpu, 0.3, 'idle clients cost nothing')
        self.assertEqual(idle[-1].call('hello')['server'], 'procd')

    def test_clients_that_come_and_go(self):
        for data in (b'', b'{', b'{"id":1,"method":"hello"}\n', b'{"id":1,"method":"wait","params":{"processes":[1]}}\n'):
            for _ in range(50):
                client = Client(self.procd.socket)
                client.send_raw(data)
                client.close()
        self.assertUnhurt()


class TooManyClients(ProcdTest):
    settings = {'nofile': 64}

    @alone
    def test_no_descriptor_left_at_accept(self):
        first = self.client()
        first.call('hello')
        crowd = []
        for _ in range(200):
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            try:
                sock.connect(self.procd.socket)
            except BlockingIOError:
                sock.close()   # the queue is full
                break
            crowd.append(sock)
        try:
            self.assertEqual(first.call('hello')['server'], 'procd')
            cpu, begin = self.procd.cpu_seconds(), time.monotonic()
            while time.monotonic() - begin < 0.5:
                self.assertEqual(first.call('hello')['server'], 'procd')
                time.sleep(0.02)
            self.assertLess(self.procd.cpu_seconds() - cpu, 0.3, 'it must not spin')
        finally:
            for sock in crowd:
                sock.close()

        def answers():
            try:
                with Client(self.procd.socket) as client:
                    return client.call('hello')['server'] == 'procd'
            except (OSError, Disconnected):
                return False
        wait_until(answers)
        # A child cannot be given more descriptors than procd may have itself, so the caller has as few.
        few = self.ctl('run', '--', 'sh', '-c', 'exit 7', preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        self.assertCode(few, 7)


class Places(ProcdTest):
    def test_socket_path_too_long(self):
        path = self.path('x' * (120 - len(self.dir)))
        outcome = self.procd.run([PROCD_BIN, '-s', path, '--log-dir', self.path('otherlog')], timeout=10)
        self.assertNotEqual(outcome.code, 0)
        self.assertIn(path, outcome.err)
        client = self.ctl('-s', path, 'info')
        self.assertIn(client.code, (2, 125), client)
        self.assertNotEqual(client.err, '')

    def test_second_procd_on_the_same_socket(self):
        outcome = self.procd.run(self.procd.command(), timeout=10)
        self.assertNotEqual(outcome.code, 0)
        self.assertIn(self.procd.socket, outcome.err)
        self.assertUnhurt()

    def test_options_that_make_no_sense(self):
        for options in (['--bogus'], ['--drain', '-1'], ['--drain', 'x'], ['--containment', 'x'], ['--socket-mode', '9'],
                        ['--socket-group', 'no-such-group']):
            outcome = self.procd.run([PROCD_BIN, '-s', self.path('other.sock'), '--log-dir', self.path('otherlog'), *options], timeout=10)
            self.assertNotEqual(outcome.code, 0, options)
            self.assertNotEqual(outcome.err, '', options)


class StaleSocket(ProcdTest):
    settings = {'started': False}

    def test_a_stale_socket_file_is_replaced(self):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.procd.socket)
        self.procd.start()
        self.assertUnhurt()

    def test_something_else_in_its_place_is_not_touched(self):
        with open(self.procd.socket, 'w') as f:
            f.write('precious')
        outcome = self.procd.run(self.procd.command(), timeout=10)
        self.assertNotEqual(outcome.code, 0)
        with open(self.procd.socket) as f:
            self.assertEqual(f.read(), 'precious')
