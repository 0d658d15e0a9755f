"""procd becomes another program: same pid, same children, same connections."""

import os
import shutil
import signal
import socket
import stat
import time

from harness import ProcdTest, Watched, wait_until
from machine import PROCD_BIN

SH = '/bin/sh'
ENV = {'PATH': '/usr/bin:/bin'}


class UpgradeTest(ProcdTest):
    def upgrade(self, **params):
        return self.client().call('upgrade', **params)

    def touch(self, name):
        with open(self.path(name), 'w'):
            pass

    def script(self, text):
        path = self.path('other-procd')
        with open(path, 'w') as f:
            f.write('#!/bin/sh\n' + text)
        os.chmod(path, 0o755)
        return path

    def said(self):
        with open(self.procd.stderr_path) as f:
            return f.read()


class Nothing_happens(UpgradeTest):
    """… to anybody."""

    def test_it_is_the_same_process_with_another_program(self):
        new = self.path('procd-2')
        shutil.copy(PROCD_BIN, new)
        before = self.client().call('hello')
        self.assertEqual(self.upgrade(binary=new)['version'], before['version'])
        self.assertEqual(self.client().call('hello')['pid'], before['pid'])
        self.assertEqual(os.readlink(f'/proc/{self.procd.pid}/exe'), new)
        self.assertUnhurt()

    def test_of_its_own_file_by_procctl_and_by_signal(self):
        version = self.client().call('hello')['version']
        self.assertEqual(self.ok('upgrade').out, version + '\n')
        self.procd.signal(signal.SIGUSR2)
        wait_until(lambda: self.said().count('went on as procd') == 2)
        self.assertEqual(self.ok('upgrade', '--json').json['version'], version)
        self.assertUnhurt()

    def test_of_its_own_file_that_was_replaced(self):
        own, new = self.path('procd-1'), self.path('procd-2')
        for path in (own, new):
            shutil.copy(PROCD_BIN, path)
        self.upgrade(binary=own)
        inode = os.stat(new).st_ino
        os.rename(new, own)
        self.upgrade()
        self.assertEqual(os.readlink(f'/proc/{self.procd.pid}/exe'), own)
        self.assertEqual(os.stat(f'/proc/{self.procd.pid}/exe').st_ino, inode)
        self.assertUnhurt()

    def test_processes_and_their_ends(self):
        c = self.client()
        ids = {}
        for number in range(20):
            ids[number] = c.spawn(SH, '-c', f'while [ ! -e {self.path("go")} ]; do sleep 0.02; done; exit {number}',
                                  owner='procd' if number % 2 else 'connection', daemon=number % 3 == 0, env=ENV)['id']
        waiting = c.request('wait', {'processes': list(ids.values())})
        before = {p['id']: p for p in c.call('list')['processes']}
        self.upgrade()
        after = {p['id']: p for p in c.call('list')['processes']}
        for each in list(before.values()) + list(after.values()):
            del each['uptime']
        self.assertEqual(after, before)
        self.touch('go')
        ended = {p['id']: p['exitcode'] for p in c.result(waiting)['processes']}
        self.assertEqual(ended, {identity: number for number, identity in ids.items()})

    def test_who_ends_in_the_very_moment(self):
        c = self.client()
        for _ in range(5):
            ids = [c.spawn(SH, '-c', f'exec sleep 0.0{number}', owner='procd', env=ENV)['id'] for number in range(10)]
            self.upgrade()
            ended = c.call('wait', processes=ids)['processes']
            self.assertEqual([p['result']['how'] for p in ended], ['exited'] * 10)

    def test_connections_own_what_they_owned(self):
        owner = self.client()
        daemon = owner.spawn('/bin/sleep', '1000', daemon=True)
        session = owner.call('session')['session']
        other = owner.spawn('/bin/sleep', '1000', daemon=True, owner={'session': session})
        watched = [Watched(p['pid']) for p in (daemon, other)]
        for each in watched:
            self.addCleanup(each.close)
        self.upgrade()
        third = owner.spawn('/bin/sleep', '1000', daemon=True, owner={'session': session})
        self.assertTrue(all(not each.ended() for each in watched))
        owner.close()
        for each in watched:
            each.await_end()
        self.assertGone(third['pid'])

    def test_who_owned_as_a_pid_or_a_killed_client(self):
        pid = self.procd.popen('sleep', '1000')
        c = self.client()
        of_pid = c.spawn('/bin/sleep', '1000', daemon=True, owner={'pid': pid.pid})
        program = self.procd.popen_ctl('run', '--', 'sleep', '1000')
        wait_until(lambda: len(self.procd.list(alive=True)) == 2)
        of_client = [p for p in self.procd.list(alive=True) if p['id'] != of_pid['id']][0]
        self.upgrade()
        pid.kill()
        program.kill()
        self.assertGone(of_pid['pid'])
        self.assertGone(of_client['pid'])

    def test_subscriptions_and_their_numbers(self):
        c = self.client()
        seq = c.call('subscribe')['seq']
        first = self.client().spawn('/bin/sleep', '1000', owner='procd')
        self.upgrade()
        self.client().call('kill', processes=[first['id']])
        numbers, kinds = [], []
        while 'exited' not in kinds:
            event = c.notification()['params']
            numbers.append(event['seq'])
            kinds.append(event['type'])
        self.assertEqual(numbers, list(range(seq + 1, seq + 1 + len(numbers))))
        again = self.client()
        again.call('subscribe', since=seq)
        self.assertEqual([again.notification()['params']['seq'] for _ in numbers], numbers)

    def test_what_is_on_its_way(self):
        """Half a request before, the other half after; requests sent meanwhile; an answer not read yet."""
        half, many, slow = self.client(), self.client(), self.client()
        half.send_raw('{"id": 1, "method": "hel')
        for _ in range(40):
            slow.request('rpc.discover', {})
        asked = self.client()
        upgrade = asked.request('upgrade', {})
        numbers = [many.request('spawn', {'command': ['/bin/true'], 'owner': 'procd', 'name': f'n{n}'}) for n in range(50)]
        asked.result(upgrade)
        half.send_raw('lo"}\n')
        self.assertEqual(half.recv()['result']['server'], 'procd')
        ids = [many.result(number)['id'] for number in numbers]
        self.assertEqual(len(set(ids)), 50)
        many.call('wait', processes=ids)
        for number in range(40):
            slow.result(number + 1)

    def test_descriptors_that_are_held(self):
        reader, writer = os.pipe()
        c = self.client()
        it = c.call('create', [writer], command=[SH, '-c', 'echo to you >&3'], owner='connection', fds=[0], env=ENV)
        os.close(writer)
        self.upgrade()
        c.call('start', process=it['id'])
        with os.fdopen(reader) as f:
            self.assertEqual(f.read(), 'to you\n')

    def test_a_log_that_comes_by_a_pipe(self):
        c = self.client()
        it = c.spawn(SH, '-c', f'n=0; while [ ! -e {self.path("go")} ]; do n=$((n+1)); echo $n; done; echo end $n',
                     owner='procd', log={'via': 'pipe'}, env=ENV)
        for _ in range(5):
            self.upgrade()
        self.touch('go')
        self.assertEqual(c.call('wait', processes=[it['id']])['processes'][0]['exitcode'], 0)
        with open(it['log']) as f:
            lines = f.read().splitlines()
        count = int(lines[-1].split()[1])
        self.assertEqual(lines[:-1], [str(n) for n in range(1, count + 1)])

    def test_a_log_that_is_followed(self):
        c = self.client()
        it = c.spawn(SH, '-c', f'n=0; while [ ! -e {self.path("go")} ]; do n=$((n+1)); echo $n; sleep 0.01; done; echo end',
                     owner='procd', env=ENV)
        reader = self.client()
        number = reader.request('logs', {'process': it['id'], 'follow': True})
        text = reader.notification()['params']['data']
        self.upgrade()
        time.sleep(0.1)
        self.upgrade()
        self.touch('go')
        while not text.endswith('end\n'):
            text += reader.notification()['params']['data']
        reader.result(number)
        with open(it['log']) as f:
            self.assertEqual(text, f.read())

    def test_a_grace_that_runs(self):
        c = self.client()
        it = c.spawn(SH, '-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done', owner='procd', env=ENV, grace=1)
        wait_until(lambda: open(it['log']).read() == 'ready\n')
        begin = time.monotonic()
        number = c.request('terminate', {'processes': [it['id']], 'wait': True})
        self.upgrade()
        self.assertEqual(c.result(number)['processes'][0]['exitcode'], -9)
        self.assertGreaterEqual(time.monotonic() - begin, 0.95)

    def test_a_wait_with_a_limit(self):
        c = self.client()
        it = c.spawn('/bin/sleep', '1000', owner='procd')
        number = c.request('wait', {'processes': [it['id']], 'timeout': 0.7})
        begin = time.monotonic()
        self.upgrade()
        self.assertTrue(c.result(number)['timed_out'])
        self.assertLess(time.monotonic() - begin, 5)

    def test_fifty_times_under_load(self):
        c = self.client()
        ids, code = [], 0
        for round_ in range(50):
            for _ in range(4):
                code = (code + 1) % 200
                ids.append((c.request('spawn', {'command': [SH, '-c', f'exit {code}'], 'owner': 'procd', 'env': ENV}), code))
            self.upgrade()
        for number, code in ids:
            identity = c.result(number)['id']
            self.assertEqual(c.call('wait', processes=[identity])['processes'][0]['exitcode'], code)


class AndThen(UpgradeTest):
    def test_the_journal_goes_on(self):
        self.upgrade()
        it = self.client().spawn('/bin/sleep', '1000', owner='procd')
        self.procd.process.kill()
        self.procd.process.wait()
        self.procd.warm = False
        self.procd.start()
        self.assertEqual(self.client().status(it['id'])['pid'], it['pid'])


class Refused(UpgradeTest):
    """What cannot be leaves everything as it was, and says why."""

    def assertRefused(self, kind, **params):
        c = self.client()
        it = c.spawn('/bin/sleep', '1000', daemon=True)
        error = c.error('upgrade', **params)
        self.assertEqual(error.kind, kind, error)
        self.assertTrue(c.status(it['id'])['alive'])
        self.assertNotIn('went on as', self.said())
        self.assertUnhurt()
        return str(error)

    def test_no_program(self):
        self.assertIn('No such file', self.assertRefused('exec_failed', binary='/no/such/procd'))

    def test_another_program(self):
        self.assertRefused('exec_failed', binary='/bin/false')
        self.assertRefused('exec_failed', binary='/bin/true')

    def test_one_that_cannot_read_the_state(self):
        said = self.assertRefused('exec_failed', binary=self.script('echo "it is of version 7"; exit 1\n'))
        self.assertIn('version 7', said)

    def test_one_that_is_a_relative_path(self):
        self.assertRefused('bad_request', binary='procd')

    def test_one_that_goes_between_the_check_and_the_exec(self):
        path = self.script('echo 1.2.3; rm "$0"\n')
        self.assertIn('No such file', self.assertRefused('exec_failed', binary=path))

    def test_two_at_once(self):
        path = self.script('echo $$ > ' + self.path('pid') + '; sleep 1; exit 1\n')
        c = self.client()
        first = c.request('upgrade', {'binary': path})
        wait_until(lambda: os.path.exists(self.path('pid')))
        self.assertEqual(self.client().error('upgrade').kind, 'limit')
        with self.assertRaises(Exception):
            c.result(first)
        self.assertUnhurt()

    def test_while_it_stops(self):
        c = self.client()
        c.spawn('/bin/sleep', '1', owner='procd')
        c.call('shutdown', wait=True)
        self.assertEqual(c.error('upgrade').kind, 'shutting_down')
        self.procd.await_exit()

    def test_a_program_that_fails_after_the_exec_leaves_the_journal(self):
        """The new program is no procd: whoever starts procd again finds everything."""
        c = self.client()
        it = c.spawn('/bin/sleep', '1000', owner='procd')
        path = self.script('[ "$1" = --check-state ] && { echo 9.9; exit 0; }\nexit 3\n')
        c.request('upgrade', {'binary': path})
        self.assertEqual(self.procd.process.wait(), 3)
        self.procd.warm = False
        self.procd.start()
        self.assertEqual(self.client().status(it['id'])['pid'], it['pid'])

    def test_a_state_that_cannot_be_read_after_all(self):
        """Checked, and spoiled on the way: the journal is what the new program goes on from."""
        c = self.client()
        it = c.spawn('/bin/sleep', '1000', owner='procd')
        lost = c.spawn('/bin/sleep', '1000', owner='connection', daemon=True)
        path = self.path('spoils')
        with open(path, 'w') as f:
            f.write(f'''#!/usr/bin/python3
import os, sys
if '--check-state' in sys.argv:
    print('9.9')
    sys.exit(0)
fd = int(sys.argv[sys.argv.index('--resume-state') + 1].split(',')[0])
os.pwrite(fd, b'spoiled', 100)
for name in os.listdir('/proc/self/fd'):
    try:
        os.set_inheritable(int(name), True)
    except OSError:
        pass
os.execv({PROCD_BIN!r}, [{PROCD_BIN!r}] + sys.argv[1:])
''')
        os.chmod(path, 0o755)
        c.request('upgrade', {'binary': path})
        wait_until(lambda: 'cannot be read' in self.said())
        wait_until(lambda: 'went on from the journal' in self.said())
        c = self.client()
        self.assertEqual(c.status(it['id'])['pid'], it['pid'])
        self.assertGone(lost['pid'])
        c.call('kill', processes=[it['id']])
        self.assertEqual(c.call('wait', processes=[it['id']])['processes'][0]['exitcode'], -9)
        self.assertUnhurt()


class Leaving(UpgradeTest):
    def test_sigusr1_leaves_everything_to_the_next(self):
        it = self.client().spawn('/bin/sleep', '1000', owner='procd')
        self.procd.signal(signal.SIGUSR1)
        self.assertEqual(self.procd.await_exit(), 3)
        self.procd.warm = False
        self.procd.start()
        self.assertEqual(self.client().status(it['id'])['pid'], it['pid'])
