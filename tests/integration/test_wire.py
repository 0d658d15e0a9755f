"""The protocol as any program can speak it: one JSON object a line over a UNIX socket."""

import base64
import json
import os
import re
import select
import signal
import threading
import time

from harness import PROCESS_FIELDS, Client, Disconnected, ProcdTest, lives, read_text, wait_for_file, wait_until

SH = '/bin/sh'
METHODS = {'hello', 'rpc.discover', 'whoami', 'create', 'start', 'spawn', 'list', 'status', 'rename', 'set', 'wait', 'terminate',
           'kill', 'interrupt', 'signal', 'close', 'sentinel', 'session', 'session.end', 'subscribe', 'shutdown'}
TIME = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$')


def b64(data):
    return {'base64': base64.b64encode(data).decode()}


class WireTest(ProcdTest):
    def setUp(self):
        super().setUp()
        self.c = self.client()


class Envelope(WireTest):
    def test_hello(self):
        hello = self.c.call('hello')
        self.assertEqual((hello['server'], hello['protocol'], hello['pid'], hello['uid']), ('procd', 1, self.procd.pid, os.geteuid()))
        with open('/proc/sys/kernel/random/boot_id') as f:
            self.assertEqual(hello['boot_id'], f.read().strip())
        self.assertRegex(hello['version'], r'^\d+\.\d+')
        self.assertIsInstance(hello['capabilities'], list)
        self.assertTrue(hello['containment'])

    def test_version_member_may_be_missing(self):
        self.c.send_raw('{"id":5,"method":"hello"}\n')
        self.assertEqual(self.c.recv()['result']['server'], 'procd')

    def test_wrong_version(self):
        self.c.send_raw('{"jsonrpc":"1.0","id":5,"method":"hello"}\n')
        self.assertEqual(self.c.recv()['error']['code'], -32600)

    def test_ids_come_back_as_sent(self):
        for number in (0, 1, -7, 1.5, 'text', '', 'ünï', None, 9007199254740991, '5'):
            self.c.send_raw(json.dumps({'jsonrpc': '2.0', 'id': number, 'method': 'hello'}) + '\n')
            reply = self.c.recv()
            self.assertEqual(reply['jsonrpc'], '2.0')
            self.assertEqual(reply['id'], number)
            self.assertIs(type(reply['id']), type(number))
            self.assertIn('result', reply)
            self.assertNotIn('error', reply)

    def test_a_notification_is_done_and_never_answered(self):
        self.c.notify('spawn', command=['/bin/sleep', '1000'], name='quiet')
        self.c.notify('spawn', command=[])
        self.c.notify('bogus')
        self.assertEqual([p['name'] for p in self.c.call('list')['processes']], ['quiet'])
        self.assertEqual(len(self.c.replies) + len(self.c.lines), 0)

    def test_effects_in_the_order_sent(self):
        requests = [{'id': 1, 'method': 'create', 'params': {'command': ['/bin/sleep', '1000'], 'name': 'a'}},
                    {'id': 2, 'method': 'rename', 'params': {'process': 'a', 'name': 'b'}},
                    {'id': 3, 'method': 'set', 'params': {'process': 'b', 'daemon': True}},
                    {'id': 4, 'method': 'start', 'params': {'process': 'b'}},
                    {'id': 5, 'method': 'status', 'params': {'process': 'b'}},
                    {'id': 6, 'method': 'rename', 'params': {'process': 'b', 'name': 'c'}},
                    {'id': 7, 'method': 'status', 'params': {'process': 'b'}},
                    {'id': 8, 'method': 'status', 'params': {'process': 'c'}}]
        self.c.send_raw(''.join(json.dumps(r) + '\n' for r in requests))
        replies = {reply['id']: reply for reply in (self.c.recv() for _ in requests)}
        self.assertEqual([n for n, reply in sorted(replies.items()) if 'error' in reply], [7], replies)
        self.assertEqual((replies[5]['result']['state'], replies[5]['result']['daemon']), ('running', True))
        self.assertEqual(replies[8]['result']['id'], replies[1]['result']['id'])

    def test_a_process_spawned_may_be_ended_in_the_same_breath(self):
        requests = [{'id': 1, 'method': 'spawn', 'params': {'command': ['/bin/sleep', '1000'], 'name': 'x'}},
                    {'id': 2, 'method': 'terminate', 'params': {'processes': ['x']}},
                    {'id': 3, 'method': 'wait', 'params': {'processes': ['x']}},
                    {'id': 4, 'method': 'hello'}]
        self.c.send_raw(''.join(json.dumps(r) + '\n' for r in requests))
        replies = {reply['id']: reply for reply in (self.c.recv() for _ in requests)}
        self.assertEqual(replies[3]['result']['processes'][0]['exitcode'], -15, replies)

    def test_a_blocked_request_blocks_nobody(self):
        process = self.c.spawn('/bin/sleep', '1000')
        waiting = self.c.request('wait', {'processes': [process['id']]})
        self.assertEqual(self.c.call('hello')['server'], 'procd')
        self.assertTrue(self.c.pending(waiting))
        self.c.call('kill', processes=[process['id']])
        self.assertEqual(self.c.result(waiting)['processes'][0]['exitcode'], -9)

    def test_bytes_in_any_portions(self):
        for byte in json.dumps({'id': 1, 'method': 'hello'}).encode() + b'\n':
            self.c.send_raw(bytes([byte]))
        self.assertEqual(self.c.recv()['id'], 1)

    def test_carriage_returns_and_blank_lines(self):
        self.c.send_raw(b'\n\r\n   \n{"id":1,"method":"hello"}\r\n\n{"id":2,"method":"hello","params":{}}\r\n')
        self.assertEqual([self.c.recv()['id'], self.c.recv()['id']], [1, 2])

    def test_a_half_closed_client_gets_its_answers(self):
        self.c.send_raw('{"id":1,"method":"hello"}\n')
        waiting = '{"id":2,"method":"wait","params":{"processes":["x"]}}\n'
        self.c.send_raw('{"id":3,"method":"spawn","params":{"command":["/bin/sleep","0.3"],"name":"x"}}\n' + waiting)
        self.c.half_close()
        self.assertEqual({self.c.recv()['id'] for _ in range(2)}, {1, 3})
        reply = self.c.recv()
        self.assertEqual((reply['id'], reply['result']['processes'][0]['exitcode']), (2, 0))

    def test_a_request_without_its_newline_at_the_end_does_no_harm(self):
        self.c.send_raw('{"id":1,"method":"hello"')
        self.c.close()
        self.assertUnhurt()

    def test_batches_are_refused(self):
        self.c.send_raw('[{"id":1,"method":"hello"},{"id":2,"method":"hello"}]\n')
        reply = self.c.recv()
        self.assertEqual((reply['error']['code'], reply['id']), (-32600, None))
        self.assertEqual(reply['error']['data']['kind'], 'invalid_request')
        self.assertEqual(self.c.call('hello')['server'], 'procd')

    def test_unknown_parameter_before_any_effect(self):
        error = self.c.error('spawn', command=['/bin/sleep', '1000'], bogus=1)
        self.assertError(error, 'bad_request', -32602)
        self.assertIn('bogus', error.message + json.dumps(error.data))
        error = self.c.error('spawn', command=['/bin/sleep', '1000'], stdio={'stdout': {'file': '/dev/null', 'bogus': 1}})
        self.assertError(error, 'bad_request', -32602)
        self.assertIn('stdio.stdout', error.message + json.dumps(error.data))
        for method in METHODS - {'rpc.discover'}:
            self.assertError(self.c.error(method, bogus=1), 'bad_request', -32602)
        self.assertEqual(self.c.call('list')['processes'], [])
        self.assertEqual(self.c.spawn('/bin/true')['name'], 'Process-1', 'a refused request does not count')

    def test_the_path_of_the_parameter_is_named(self):
        for params, path in (({'command': ['x', 5]}, 'command'), ({'command': ['x'], 'daemon': 'yes'}, 'daemon'),
                             ({'command': ['x'], 'stdio': {'stdout': {'fd': 'a'}}}, 'stdio.stdout.fd'), ({}, 'command')):
            error = self.c.error('spawn', **params)
            self.assertError(error, 'bad_request', -32602)
            self.assertIn(path, error.message + json.dumps(error.data))

    def test_null_is_absent(self):
        process = self.c.spawn('/bin/sleep', '1000', name=None, daemon=None, owner=None, cwd=None, env=None, umask=None, stdio=None,
                               fds=None, grace=None, kill_mode=None, leftovers=None, unique=None)
        self.assertEqual((process['name'], process['daemon'], process['cwd']), ('Process-1', False, '/'))
        self.assertEqual(len(self.c.call('list', name=None, owner=None, daemon=None, alive=None, fields=None)['processes']), 1)
        self.c.call('terminate', processes=[process['id']], grace=None, wait=None)
        self.assertEqual(self.c.call('wait', processes=[process['id']], mode=None, timeout=None)['processes'][0]['exitcode'], -15)
        self.assertError(self.c.error('status', process=None), 'bad_request')

    def test_parameters_may_be_missing_where_none_is_needed(self):
        for text in ('{"id":1,"method":"list"}', '{"id":1,"method":"list","params":{}}', '{"id":1,"method":"list","params":null}'):
            self.c.send_raw(text + '\n')
            self.assertIn('result', self.c.recv(), text)

    def test_unknown_method(self):
        self.assertError(self.c.error('bogus'), 'no_such_method', -32601)


class Bytes(WireTest):
    def test_arguments_environment_and_paths(self):
        directory = os.fsencode(self.dir) + b'/\xff\xfe'
        os.mkdir(directory)
        process = self.c.call('spawn', command=[SH, '-c', 'printf "%s|%s|%s" "$1" "$VAR" "$PWD" > out', 'sh', b64(b'\x80arg')],
                              env=['PATH=/bin:/usr/bin', b64(b'VAR=\xf0\x90')], cwd=b64(directory))
        self.c.wait(process['id'])
        with open(directory + b'/out', 'rb') as f:
            self.assertEqual(f.read(), b'\x80arg|\xf0\x90|' + directory)
        status = self.c.status(process['id'])
        self.assertEqual(base64.b64decode(status['command'][4]['base64']), b'\x80arg')
        self.assertEqual(base64.b64decode(status['cwd']['base64']), directory)

    def test_text_may_come_as_bytes(self):
        process = self.c.call('spawn', command=[b64(b'/bin/sleep'), b64(b'1000')], env={'A': b64(b'b')})
        self.assertEqual(self.c.status(process['id'])['command'], ['/bin/sleep', '1000'])

    def test_nul_is_refused(self):
        for params in ({'command': [b64(b'a\0b')]}, {'command': ['a\0b']}, {'command': ['/bin/true'], 'cwd': b64(b'/\0')},
                       {'command': ['/bin/true'], 'env': ['A=\0']}, {'command': ['/bin/true'], 'env': {'A': b64(b'\0')}}):
            self.assertError(self.c.error('spawn', **params), 'bad_request', -32602)

    def test_not_base64(self):
        for text in ('*', 'YQ', 'YQ=', 5, None):
            self.assertError(self.c.error('spawn', command=['/bin/echo', {'base64': text}]), 'bad_request')

    def test_environment_as_object_or_array(self):
        for env in ({'PATH': '/bin', 'A': '1'}, ['PATH=/bin', 'A=1']):
            out = self.path('out')
            process = self.c.spawn(SH, '-c', f'echo "$A" > {out}', env=env)
            self.c.wait(process['id'])
            self.assertEqual(read_text(out), '1\n')
        for env in (['A'], ['=x'], {'': 'x'}, {'A=B': 'x'}, 'A=1', 5, {'A': 5}):
            self.assertError(self.c.error('spawn', command=['/bin/true'], env=env), 'bad_request')


class Methods(WireTest):
    def test_process_object(self):
        process = self.c.call('create', command=['/bin/sleep', '0.1'], name='x', daemon=True)
        self.assertEqual(set(process), PROCESS_FIELDS)
        for field, value in {'name': 'x', 'pid': None, 'daemon': True, 'state': 'initial', 'alive': False, 'exitcode': None,
                             'result': None, 'uid': os.geteuid(), 'command': ['/bin/sleep', '0.1'], 'cwd': '/', 'started': None,
                             'ended': None, 'uptime': None}.items():
            self.assertEqual(process[field], value, field)
        self.assertIs(type(process['id']), int)
        self.assertRegex(process['created'], TIME)
        self.assertEqual(process['owner']['kind'], 'connection')
        self.assertEqual(process['owner']['pid'], os.getpid())

        running = self.c.call('start', process=process['id'])
        self.assertEqual(set(running), PROCESS_FIELDS)
        self.assertEqual((running['state'], running['alive'], running['exitcode'], running['result'], running['ended']),
                         ('running', True, None, None, None))
        self.assertTrue(lives(running['pid']))
        self.assertRegex(running['started'], TIME)
        self.assertGreaterEqual(running['uptime'], 0)
        self.assertTrue(running['fate'])

        ended, = self.c.wait(process['id'])['processes']
        self.assertEqual(set(ended), PROCESS_FIELDS)
        self.assertEqual((ended['state'], ended['alive'], ended['exitcode'], ended['pid']), ('exited', False, 0, running['pid']))
        self.assertRegex(ended['ended'], TIME)
        self.assertLessEqual(ended['created'], ended['started'])
        self.assertLess(ended['started'], ended['ended'])
        self.assertEqual(set(ended['result']), {'how', 'code', 'signal', 'core', 'cause', 'leftovers'})
        self.assertEqual((ended['result']['how'], ended['result']['code'], ended['result']['cause']), ('exited', 0, 'self'))
        self.assertFalse(ended['result']['leftovers'])

    def test_result(self):
        def result(script, act=None):
            process = self.c.spawn(SH, '-c', script)
            if act:
                self.c.call(act, processes=[process['id']])
            ended = self.c.wait(process['id'])['processes'][0]
            return ended['exitcode'], ended['result']['how'], ended['result']['code'], ended['result']['signal'], ended['result']['cause']
        self.assertEqual(result('exit 3'), (3, 'exited', 3, None, 'self'))
        self.assertEqual(result('kill -USR1 $$'), (-10, 'signaled', None, 10, 'self'))
        self.assertEqual(result('exec sleep 1000', 'terminate'), (-15, 'signaled', None, 15, 'client'))
        self.assertEqual(result('exec sleep 1000', 'kill'), (-9, 'signaled', None, 9, 'client'))

    def test_ids_are_never_used_again(self):
        ids = []
        for _ in range(3):
            ids.append(self.c.spawn('/bin/true')['id'])
            self.c.wait(ids[-1])
            self.c.call('close', processes=[ids[-1]])
        self.assertEqual(ids, sorted(set(ids)))

    def test_spawn_is_create_and_start(self):
        process = self.c.spawn('/bin/sleep', '1000')
        self.assertEqual((process['state'], process['alive']), ('running', True))
        self.assertError(self.c.error('start', process=process['id']), 'already_started', 1)
        self.c.call('kill', processes=[process['id']])
        self.c.wait(process['id'])
        error = self.c.error('start', process=process['id'])
        self.assertError(error, 'already_started', 1)
        self.assertIn('cannot start a process twice', error.message)

    def test_exec_failures(self):
        plain = self.path('plain')
        with open(plain, 'w') as f:
            f.write('echo no interpreter line\n')
        for command, cwd, errno, code in (('/nonexistent', '/', 2, 127), ('nonexistent', '/', 2, 127), ('/etc', '/', 13, 126),
                                          ('/etc/passwd', '/', 13, 126), ('/bin/true', '/nonexistent', 2, 127)):
            error = self.c.error('spawn', command=[command], cwd=cwd)
            self.assertError(error, 'exec_failed', 1)
            self.assertEqual(error.data['errno'], errno, error)
            self.assertTrue(error.data['stage'])
            process = self.c.call('create', command=[command], cwd=cwd)
            self.assertError(self.c.error('start', process=process['id']), 'exec_failed', 1)
            process = self.c.status(process['id'])
            self.assertEqual((process['state'], process['result']['how']), ('exited', 'exec_failed'))
            if cwd == '/':
                self.assertEqual(process['exitcode'], code)
        self.assertEqual({p['state'] for p in self.c.call('list')['processes']}, {'exited'})
        os.chmod(plain, 0o755)
        error = self.c.error('spawn', command=[plain])
        self.assertEqual((error.kind, error.data['errno']), ('exec_failed', 8), 'no shell takes over')

    def test_failed_spawn_leaves_no_record(self):
        self.c.error('spawn', command=['/nonexistent'])
        self.assertEqual(self.c.call('list')['processes'], [])
        self.assertEqual(self.c.spawn('/bin/true')['name'], 'Process-2', 'but it was constructed')

    def test_list(self):
        other = self.client()
        one = self.c.spawn('/bin/sleep', '1000', name='one', daemon=True)['id']
        two = self.c.spawn('/bin/true', name='two')['id']
        three = other.spawn('/bin/sleep', '1000', name='three', owner='procd')['id']
        self.c.wait(two)

        def ids(**filters):
            return {p['id'] for p in self.c.call('list', **filters)['processes']}
        self.assertEqual(ids(), {one, two, three})
        self.assertEqual(ids(name='t*'), {two, three})
        self.assertEqual(ids(name='one'), {one})
        self.assertEqual(ids(name='on'), set())
        self.assertEqual(ids(daemon=True), {one})
        self.assertEqual(ids(alive=True), {one, three})
        self.assertEqual(ids(alive=False), {two})
        self.assertEqual(ids(alive=True, daemon=False), {three})
        self.assertEqual(ids(owner='connection'), {one, two})
        self.assertEqual(ids(owner='procd'), {three})
        self.assertEqual(self.c.call('list', fields=['id', 'name'], name='one')['processes'], [{'id': one, 'name': 'one'}])
        self.assertError(self.c.error('list', fields=['bogus']), 'bad_request')
        self.assertIs(type(self.c.call('list')['seq']), int)

    def test_rename(self):
        process = self.c.spawn('/bin/sleep', '1000')['id']
        self.assertEqual(self.c.call('rename', process=process, name='x')['name'], 'x')
        self.assertEqual(self.c.call('rename', process='x', name='y')['name'], 'y')
        self.c.call('kill', processes=['y'])
        self.c.wait('y')
        self.assertEqual(self.c.call('rename', process='y', name='z')['name'], 'z')
        for name in ('12', 'a\nb', 'x' * 256, 5):
            self.assertError(self.c.error('rename', process='z', name=name), 'bad_request')

    def test_set(self):
        process = self.c.call('create', command=['/bin/sleep', '1000'])['id']
        self.assertTrue(self.c.call('set', process=process, daemon=True)['daemon'])
        self.assertEqual(self.c.call('set', process=process, owner='procd')['owner']['kind'], 'procd')
        self.c.call('start', process=process)
        error = self.c.error('set', process=process, daemon=False)
        self.assertError(error, 'already_started', 1)
        self.assertIn('process has already started', error.message)
        self.assertEqual(self.c.call('set', process=process, owner='connection')['owner']['kind'], 'connection')

    def test_terminate_kill_interrupt_signal(self):
        for method, params, code in (('terminate', {}, -15), ('kill', {}, -9), ('interrupt', {}, -2), ('signal', {'signal': 'TERM'}, -15),
                                     ('signal', {'signal': 'SIGTERM'}, -15), ('signal', {'signal': 15}, -15),
                                     ('signal', {'signal': 'RTMIN+1'}, -(signal.SIGRTMIN + 1)), ('signal', {'signal': 'USR2'}, -12)):
            process = self.c.spawn('/bin/sleep', '1000')['id']
            result = self.c.call(method, processes=[process], **params)
            self.assertEqual([p['id'] for p in result['processes']], [process])
            self.assertEqual(self.c.wait(process)['processes'][0]['exitcode'], code, (method, params))
            self.assertEqual([p['id'] for p in self.c.call(method, processes=[process], **params)['processes']], [process])
        initial = self.c.call('create', command=['/bin/true'])['id']
        for method, params in (('terminate', {}), ('kill', {}), ('interrupt', {}), ('signal', {'signal': 1})):
            self.assertError(self.c.error(method, processes=[initial], **params), 'not_started', 1)

    def test_signal_to_main_or_tree(self):
        out = self.path('out')
        process = self.c.spawn(SH, '-c', f'''trap "echo main >> {out}" USR1
            sh -c 'trap "echo rest >> {out}" USR1; echo ready >> {out}; while :; do sleep 0.02; done' &
            while :; do sleep 0.02; done''', env={'PATH': '/bin:/usr/bin'})['id']
        wait_for_file(out)
        self.c.call('signal', processes=[process], signal='USR1')
        wait_until(lambda: read_text(out) == 'ready\nmain\n')
        # The sleeps of both die of the signal, which the loops bear.
        self.c.call('signal', processes=[process], signal='USR1', tree=True)
        wait_until(lambda: sorted(read_text(out).split()) == ['main', 'main', 'ready', 'rest'])
        self.assertTrue(self.c.status(process)['alive'])

    def test_selectors_are_resolved_before_anything_is_done(self):
        process = self.c.spawn('/bin/sleep', '1000', name='x')['id']
        for method in ('terminate', 'kill', 'interrupt', 'wait', 'close'):
            error = self.c.error(method, processes=[process, 'nobody', 999999])
            self.assertError(error, 'no_such_process', 1)
            self.assertEqual([str(selector) for selector in error.data['missing']], ['nobody', '999999'])
        self.assertEqual(self.c.status(process)['state'], 'running')

    def test_close(self):
        process = self.c.spawn('/bin/sleep', '1000')['id']
        error = self.c.error('close', processes=[process])
        self.assertError(error, 'still_running', 1)
        self.assertIn('Cannot close a process while it is still running', error.message)
        self.c.call('kill', processes=[process])
        self.c.wait(process)
        self.assertEqual(self.c.call('close', processes=[process])['closed'], [process])
        self.assertError(self.c.error('status', process=process), 'no_such_process', 1)
        initial = self.c.call('create', command=['/bin/true'])['id']
        self.assertEqual(self.c.call('close', processes=[initial])['closed'], [initial])

    def test_close_takes_all_ended_of_a_name(self):
        ids = [self.c.spawn('/bin/true', name='x')['id'] for _ in range(3)]
        self.c.wait(*ids)
        self.assertEqual(sorted(self.c.call('close', processes=['x'])['closed']), ids)

    def test_sentinel(self):
        process = self.c.spawn('/bin/sleep', '1000')['id']
        number = self.c.request('sentinel', {'process': process})
        self.assertEqual(self.c.result(number)['fd'], 0)
        fd, = self.c.fds[number]
        self.assertEqual(select.select([fd], [], [], 0)[0], [])
        self.c.call('kill', processes=[process])
        self.assertEqual(select.select([fd], [], [], 10)[0], [fd])
        self.assertEqual(self.c.status(process)['exitcode'], -9)
        self.assertEqual(select.select([fd], [], [], 0)[0], [fd])

    def test_sentinel_of_an_ended_and_of_an_initial_process(self):
        process = self.c.spawn('/bin/true')['id']
        self.c.wait(process)
        number = self.c.request('sentinel', {'process': process})
        self.c.result(number)
        self.assertEqual(select.select(self.c.fds[number], [], [], 0)[0], self.c.fds[number])
        process = self.c.call('create', command=['/bin/true'])['id']
        error = self.c.error('sentinel', process=process)
        self.assertError(error, 'not_started', 1)
        self.assertIn('process not started', error.message)

    def test_the_exit_code_is_there_once_the_sentinel_is_readable(self):
        for _ in range(100):
            process = self.c.spawn('/bin/sleep', '1000')['id']
            number = self.c.request('sentinel', {'process': process})
            self.c.result(number)
            fd, = self.c.fds.pop(number)
            other = self.c.request('kill', {'processes': [process]})
            select.select([fd], [], [], 10)
            os.close(fd)
            self.assertEqual(self.c.status(process)['exitcode'], -9)
            self.c.result(other)

    def test_session(self):
        session = self.c.call('session', name='job')['session']
        self.assertRegex(session, r'^s\d+$')
        other = self.client()
        process = other.spawn('/bin/sleep', '1000', owner={'session': session}, daemon=True)
        self.assertEqual((process['owner']['kind'], process['owner']['session']), ('session', session))
        plain = self.c.spawn('/bin/sleep', '1000', owner={'session': session})
        left = self.c.call('session.end', session=session)['processes']
        self.assertEqual([p['id'] for p in left], [plain['id']])
        self.assertEqual(self.c.wait(process['id'])['processes'][0]['result']['cause'], 'owner')
        self.assertTrue(self.c.status(plain['id'])['alive'])
        self.assertError(self.c.error('spawn', command=['/bin/true'], owner={'session': session}), 'owner_gone', 1)
        self.assertNotEqual(self.c.call('session')['session'], session)

    def test_whoami(self):
        self.assertEqual(self.c.call('whoami'), {'process': None, 'session': None})

    def test_unknown_owners(self):
        for owner in ({'session': 's999'}, {'process': 99999}, {'pid': 2 ** 22 + 1}):
            self.assertIn(self.c.error('spawn', command=['/bin/true'], owner=owner).kind, ('owner_gone', 'no_such_process'), owner)
        for owner, kind in (('process', 'bad_request'), ('bogus', 'bad_request'), ({'pid': -1}, 'bad_request'), ({'pid': 'x'}, 'bad_request'),
                            ({'pidfd': 0}, 'bad_request'), ({}, 'bad_request'), ({'session': 's1', 'pid': 1}, 'bad_request')):
            self.assertError(self.c.error('spawn', command=['/bin/true'], owner=owner), kind)
        self.assertEqual(self.c.call('list')['processes'], [])

    def test_discover(self):
        document = self.c.call('rpc.discover')
        self.assertRegex(document['openrpc'], r'^1\.')
        methods = {method['name']: method for method in document['methods']}
        self.assertEqual(METHODS - set(methods), set())
        spawn = {parameter['name']: parameter for parameter in methods['spawn']['params']}
        self.assertTrue(spawn['command']['required'])
        self.assertFalse(spawn['name'].get('required', False))

    def test_later_methods_are_not_there_or_work(self):
        names = {method['name'] for method in self.c.call('rpc.discover')['methods']}
        for method in {'logs', 'upgrade'} - names:
            self.assertError(self.c.error(method), 'no_such_method', -32601)


class Disconnecting(WireTest):
    def test_threads_of_clients(self):
        failures = []

        def work(n):
            try:
                with Client(self.procd.socket) as client:
                    for i in range(20):
                        process = client.spawn(SH, '-c', f'exit {(n + i) % 200}')
                        if client.wait(process['id'])['processes'][0]['exitcode'] != (n + i) % 200:
                            failures.append((n, i))
            except Exception as error:  # noqa: BLE001 - told below
                failures.append(error)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_the_connection_ends_for_the_client_when_procd_stops(self):
        self.procd.signal(signal.SIGTERM)
        with self.assertRaises((Disconnected, ConnectionResetError)):
            while True:
                self.c.recv(10)
        self.assertEqual(self.procd.await_exit(), 0)

    def test_many_short_connections(self):
        begin = time.monotonic()
        for _ in range(500):
            with Client(self.procd.socket) as client:
                client.call('hello')
        self.assertLess(time.monotonic() - begin, 20)
