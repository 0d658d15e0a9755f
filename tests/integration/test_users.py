"""A procd of root serves several users: each process runs as its caller, and nobody touches another's."""

import json
import os
import shutil
import stat

from harness import PYTHON, ProcdTest, Watched, as_root, lives, read_text, wait_for_file, wait_until
from test_child_environment import REPORT

NOBODY = 65534
OTHER = 65533
SUPPLEMENTARY = 12345


class UsersTest(ProcdTest):
    options = ('--socket-mode', '0666')
    settings = {'directory_mode': 0o755}

    def setUp(self):
        if shutil.which('setpriv') is None:
            self.skipTest('needs setpriv')
        super().setUp()
        self.exchange = self.path('exchange')
        os.mkdir(self.exchange)
        os.chmod(self.exchange, 0o1777)

    def run_as(self, uid, *argv, groups=(), **options):
        which = ['--groups', ','.join(map(str, groups))] if groups else ['--clear-groups']
        options.setdefault('cwd', self.exchange)
        return self.procd.run(['setpriv', f'--reuid={uid}', f'--regid={uid}', *which, '--inh-caps=-all', '--', *map(str, argv)],
                              env={'HOME': '/', 'USER': None, 'LOGNAME': None, **options.pop('env', {})}, **options)

    def ctl_as(self, uid, *args, **options):
        return self.run_as(uid, self.path('bin', 'procctl'), *args, **options)

    def spawned_as(self, uid, *args, **options):
        outcome = self.ctl_as(uid, 'spawn', '-q', *args, **options)
        self.assertCode(outcome, 0)
        return int(outcome.out)


@as_root
class Users(UsersTest):
    def test_credentials(self):
        out = os.path.join(self.exchange, 'report')
        identity = self.spawned_as(NOBODY, '--', PYTHON, '-I', '-c', REPORT, out, groups=[SUPPLEMENTARY, NOBODY])
        report = json.loads(wait_for_file(out))
        self.assertEqual((report['uids'], report['gids']), ([NOBODY] * 3, [NOBODY] * 3))
        self.assertEqual(sorted(report['groups']), [SUPPLEMENTARY, NOBODY])
        self.assertEqual(os.stat(out).st_uid, NOBODY)
        self.assertEqual(self.procd.status(identity)['uid'], NOBODY)

    def test_no_group_of_roots_is_left(self):
        out = os.path.join(self.exchange, 'report')
        self.spawned_as(NOBODY, '--', PYTHON, '-I', '-c', REPORT, out)
        self.assertEqual(json.loads(wait_for_file(out))['groups'], [])

    def test_no_capability_is_left(self):
        outcome = self.ctl_as(NOBODY, 'run', '--', 'grep', '-E', 'Cap(Inh|Prm|Eff|Amb)', '/proc/self/status')
        self.assertCode(outcome, 0)
        self.assertEqual({line.split()[1] for line in outcome.out.splitlines()}, {'0' * 16})

    def test_bare_environment_of_the_user(self):
        outcome = self.ctl_as(NOBODY, 'run', '--clean-env', '--', 'env')
        self.assertIn('USER=nobody\n', outcome.out)
        self.assertIn('LOGNAME=nobody\n', outcome.out)

    def test_each_sees_their_own(self):
        ids = {uid: self.spawned_as(uid, '--name', 'db', '--', 'sleep', '1000') for uid in (NOBODY, OTHER)}
        ids[0] = self.spawned('--name', 'db', '--', 'sleep', '1000')
        for uid in (NOBODY, OTHER):
            listed = self.ctl_as(uid, 'list', '--json').json['processes']
            self.assertEqual([p['id'] for p in listed], [ids[uid]])
            self.assertEqual(self.ctl_as(uid, 'status', '--json', 'db').json['id'], ids[uid])
        self.assertEqual({p['id'] for p in self.procd.list()}, set(ids.values()), 'root sees all')

    def test_each_touches_their_own(self):
        mine, theirs = (self.spawned_as(uid, '--', 'sleep', '1000') for uid in (NOBODY, OTHER))
        roots = self.spawned('--', 'sleep', '1000')
        for stranger in (theirs, roots):
            self.assertCode(self.ctl_as(NOBODY, 'status', stranger), 4)
            for verb in (['terminate'], ['kill'], ['interrupt'], ['wait', '--timeout', '0'], ['close'], ['name']):
                outcome = self.ctl_as(NOBODY, *verb, stranger)
                self.assertIn(outcome.code, (1, 4), outcome)
                # Whether it is there at all is nobody's business either.
                self.assertIn(self.ctl_as(NOBODY, *verb, '--json', stranger).kind, ('no_such_process', 'not_permitted'))
            self.assertTrue(self.procd.status(stranger)['alive'])
        self.assertCode(self.ctl_as(NOBODY, 'terminate', '--wait', mine), 0)
        self.ok('terminate', '--wait', theirs)

    def test_owners_of_another_user(self):
        roots = self.spawned('--', 'sleep', '1000')
        with self.client() as client:
            session = client.call('session')['session']
            for owner in (f'pid:{os.getpid()}', 'pid:1'):
                outcome = self.ctl_as(NOBODY, 'spawn', '--json', '--owner', owner, '--', 'true')
                self.assertCode(outcome, 1)
                self.assertEqual(outcome.kind, 'not_permitted')
            outcome = self.ctl_as(NOBODY, 'spawn', '--json', '--', 'true', env={'PROCD_SESSION': session})
            self.assertCode(outcome, 1)
            self.assertIn(outcome.kind, ('not_permitted', 'owner_gone'))
        self.assertEqual([p['id'] for p in self.procd.list()], [roots])

    def test_what_is_roots_alone(self):
        for verb in (['shutdown'], ['shutdown', '--now']):
            outcome = self.ctl_as(NOBODY, *verb)
            self.assertCode(outcome, 1)
            self.assertEqual(self.ctl_as(NOBODY, *verb, '--json').kind, 'not_permitted')
        self.assertUnhurt()

    def test_the_log_is_the_users(self):
        identity = self.spawned_as(NOBODY, '--', 'echo', 'hello')
        log = self.procd.await_state(identity)['log']
        info = os.stat(log)
        self.assertEqual((info.st_uid, stat.S_IMODE(info.st_mode) & 0o077), (NOBODY, stat.S_IMODE(info.st_mode) & 0o070))
        outcome = self.run_as(NOBODY, 'cat', log)
        self.assertEqual((outcome.code, outcome.out), (0, 'hello\n'), outcome)
        outcome = self.run_as(OTHER, 'cat', log)
        self.assertNotEqual(outcome.code, 0)

    def test_files_are_opened_as_the_user(self):
        secret = self.path('secret')
        with open(secret, 'w') as f:
            f.write('secret\n')
        os.chmod(secret, 0o600)
        for stdio in ({'stdin': {'file': secret}}, {'stdout': {'file': self.path('new')}}):
            request = json.dumps({'id': 1, 'method': 'spawn', 'params': {'command': ['/bin/cat'], 'stdio': stdio}})
            script = f'''import socket, os
s = socket.socket(socket.AF_UNIX); s.connect({self.procd.socket!r}); s.sendall({request!r}.encode() + b"\\n"); print(s.makefile().readline())'''
            outcome = self.run_as(NOBODY, PYTHON, '-c', script)
            error = json.loads(outcome.out)['error']
            self.assertEqual((error['data']['kind'], error['data']['errno']), ('exec_failed', 13), outcome)
        self.assertFalse(os.path.exists(self.path('new')))

    def test_a_directory_only_root_may_enter(self):
        closed = self.path('closed')
        os.mkdir(closed, 0o700)
        outcome = self.ctl_as(NOBODY, 'spawn', '--json', '--cwd', closed, '--', 'true')
        self.assertCode(outcome, 126)
        self.assertEqual(outcome.kind, 'exec_failed')

    def test_owners_work_the_same(self):
        session = self.procd.popen('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', self.path('bin', 'procctl'), 'session', '--',
                                   'sh', '-c', 'procctl spawn -q --daemon -- sleep 1000; procctl spawn -q -- sh -c "echo ready; exec sleep 1000"; read x', cwd=self.exchange)
        lines = [self.line(session.stdout) for _ in range(3)]
        daemon = self.procd.status(int(lines[0]))
        self.assertEqual(daemon['uid'], NOBODY)
        with Watched(daemon['pid']) as watched:
            session.kill()
            watched.await_end(5)
        self.assertEqual(self.procd.await_state(daemon['id'])['result']['cause'], 'owner')

    def test_events_of_others_are_not_heard(self):
        script = f'''import socket
s = socket.socket(socket.AF_UNIX); s.connect({self.procd.socket!r}); f = s.makefile("rw")
f.write('{{"id":1,"method":"subscribe"}}\\n'); f.flush()
print(f.readline().strip(), flush=True)
print(f.readline().strip(), flush=True)'''
        listener = self.procd.popen('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', PYTHON, '-c', script)
        self.assertEqual(json.loads(self.line(listener.stdout))['result']['processes'], [])
        self.procd.await_state(self.spawned('--', 'true'))
        mine = self.spawned_as(NOBODY, '--', 'true')
        self.assertEqual(json.loads(self.line(listener.stdout))['params']['process']['id'], mine)

    def test_user_is_roots_word(self):
        out = os.path.join(self.exchange, 'report')
        with self.client() as client:
            client.spawn(PYTHON, '-I', '-c', REPORT, out, user='nobody')
        self.assertEqual(json.loads(wait_for_file(out))['uids'], [NOBODY] * 3)
        script = f'''import socket
s = socket.socket(socket.AF_UNIX); s.connect({self.procd.socket!r})
s.sendall(b'{{"id":1,"method":"spawn","params":{{"command":["/bin/true"],"user":"root"}}}}\\n'); print(s.makefile().readline())'''
        outcome = self.run_as(NOBODY, PYTHON, '-c', script)
        self.assertEqual(json.loads(outcome.out)['error']['data']['kind'], 'not_permitted', outcome)

    def test_a_program_that_becomes_another_user_ends_too(self):
        pid_file = os.path.join(self.exchange, 'pid')
        identity = self.spawned('--', 'sh', '-c', f'setpriv --reuid={OTHER} --clear-groups sh -c "echo \\$\\$ > {pid_file}; exec sleep 1000" & wait')
        child = int(wait_for_file(pid_file))
        self.ok('terminate', '--wait', identity)
        self.assertFalse(lives(child))

    def test_a_signal_goes_to_whom_kill_would_let_it(self):
        """A program that has become root is not its user's to signal, but ends with its tree."""
        become_root = os.path.join(self.exchange, 'become-root')
        shutil.copy(shutil.which('setpriv'), become_root)
        os.chown(become_root, 0, 0)
        os.chmod(become_root, 0o4755)
        identity = self.spawned_as(NOBODY, '--', become_root, '--reuid=0', '--clear-groups', 'sleep', '1000')
        pid = self.procd.status(identity)['pid']
        wait_until(lambda: read_text(f'/proc/{pid}/comm') == 'sleep\n')
        for verb in (['signal', identity, 'USR1'], ['interrupt', identity]):
            outcome = self.ctl_as(NOBODY, verb[0], '--json', *verb[1:])
            self.assertCode(outcome, 1)
            self.assertEqual(outcome.kind, 'not_permitted')
        self.assertCode(self.ctl_as(NOBODY, 'interrupt', '--tree', identity), 0)
        self.assertTrue(self.procd.status(identity)['alive'])
        self.assertCode(self.ctl_as(NOBODY, 'terminate', '--wait', identity), 0)
        self.assertFalse(lives(pid))

    def test_logs_are_their_users(self):
        identity = self.spawned_as(NOBODY, '--', 'sh', '-c', 'echo mine')
        log = self.procd.await_state(identity)['log']
        self.assertEqual(self.ctl_as(NOBODY, 'logs', identity).out, 'mine\n')
        self.assertEqual(self.ok('logs', identity).out, 'mine\n')
        outcome = self.ctl_as(OTHER, 'logs', '--json', identity)
        self.assertEqual((outcome.code, outcome.kind), (1, 'no_such_process'))
        # Another user's file in its place is not shown, by whatever name it is there.
        with open(self.path('secret'), 'w') as f:
            f.write('secret\n')
        os.unlink(log)
        os.link(self.path('secret'), log)
        outcome = self.ctl_as(NOBODY, 'logs', identity)
        self.assertCode(outcome, 1)
        self.assertEqual((outcome.out, outcome.err), (
            '', f"procctl: read (it is another user's) {log}: Operation not permitted\n"))


HOLD = '''
import socket, sys, time
held = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[2]))]
for each in held:
    each.connect(sys.argv[1])
    each.sendall(b'{"id": 1, "method": "whoami"}\\n')
    each.recv(100)
print('held', flush=True)
time.sleep(1000)
'''


# Requests take effect in order: once the second is answered, the first is pending.
WAIT = '''
import json, socket, sys
procd = socket.socket(socket.AF_UNIX)
procd.connect(sys.argv[1])
answers = procd.makefile()
procd.sendall(b'{"id": 1, "method": "wait", "params": {"processes": [%s]}}\\n' % sys.argv[2].encode())
procd.sendall(b'{"id": 2, "method": "hello"}\\n')
assert json.loads(answers.readline())['id'] == 2
print('waiting', flush=True)
print(json.loads(answers.readline())['result']['processes'][0]['exitcode'], flush=True)
'''


@as_root
class Limits(UsersTest):
    """What one user may have. Others, and root, are not touched by it."""

    options = UsersTest.options + ('--max-processes', '2', '--max-connections', '3', '--max-waits', '1')

    def refused(self, *args):
        outcome = self.ctl_as(NOBODY, '--json', *args)
        return (outcome.code, outcome.kind) == (1, 'limit')

    def test_processes(self):
        first = self.spawned_as(NOBODY, '--', 'sleep', '1000')
        self.assertCode(self.ctl_as(NOBODY, 'create', '--', 'true'), 0)
        self.assertTrue(self.refused('spawn', '--', 'true'))
        self.assertTrue(self.refused('create', '--', 'true'))
        self.spawned_as(OTHER, '--', 'sleep', '1000')
        for _ in range(4):
            self.spawned('--', 'sleep', '1000')
        self.assertCode(self.ctl_as(NOBODY, 'kill', '--wait', first), 0)
        self.spawned_as(NOBODY, '--', 'true')

    def test_connections(self):
        holder = self.procd.popen('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', '--',
                                  PYTHON, '-I', '-c', HOLD, self.procd.socket, 3)
        self.assertEqual(self.line(holder.stdout), 'held')
        self.assertTrue(self.refused('info'))
        self.assertCode(self.ctl_as(OTHER, 'info'), 0)
        self.ok('info')
        holder.kill()
        wait_until(lambda: self.ctl_as(NOBODY, 'info').code == 0)

    def test_waits(self):
        identity = self.spawned_as(NOBODY, '--', 'sleep', '1000')
        waiter = self.procd.popen('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', '--',
                                  PYTHON, '-I', '-c', WAIT, self.procd.socket, identity)
        self.assertEqual(self.line(waiter.stdout), 'waiting')
        self.assertTrue(self.refused('wait', '--timeout', '0.05', identity))
        for _ in range(2):
            self.procd.popen_ctl('wait', identity)
        self.assertCode(self.ctl('wait', '--timeout', '0.1', identity), 124)
        self.assertCode(self.ctl_as(NOBODY, 'kill', identity), 0)
        self.assertEqual(self.line(waiter.stdout), '-9')


# Runs a program under a seccomp filter that allows everything.
FILTERED = '''
import ctypes, os, struct, sys
allow = ctypes.create_string_buffer(struct.pack('HBBI', 0x06, 0, 0, 0x7fff0000))
filters = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 1, ctypes.addressof(allow)))
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filters), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
'''


class ConfinedTest(UsersTest):
    """Callers who would be less confined in a child of procd's than they are."""

    def confined(self):
        """What confines, by name, as the words before a command."""
        as_nobody = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', '--']
        ways = {'seccomp': [*as_nobody, PYTHON, '-I', '-c', FILTERED],
                'mnt namespace': ['unshare', '--mount', '--', *as_nobody],
                'pid namespace': ['unshare', '--pid', '--fork', '--', *as_nobody],
                'user namespace': [*as_nobody, 'unshare', '--user', '--']}
        # Not every machine lets everybody have each of them; the first every one does.
        here = [name for name, words in ways.items() if self.procd.run([*words, '/bin/true']).code == 0]
        self.assertIn('seccomp', here)
        return [(name, [*ways[name], self.path('bin', 'procctl')]) for name in here]


@as_root
class Confined(ConfinedTest):
    def test_starts_nothing(self):
        for name, procctl in self.confined():
            outcome = self.procd.run([*procctl, '--json', 'spawn', '--', 'true'])
            self.assertEqual((outcome.code, outcome.kind), (1, 'not_permitted'), outcome)
            self.assertIn(name, outcome.json['error']['message'])
            self.assertCode(self.procd.run([*procctl, 'info']), 0)
        self.assertEqual(self.procd.list(), [])


@as_root
class ConfinedAllowed(ConfinedTest):
    options = ConfinedTest.options + ('--allow-confined',)

    def test_as_the_administrator_says(self):
        for name, procctl in self.confined():
            outcome = self.procd.run([*procctl, 'spawn', '-q', '--owner', 'procd', '--', 'true'])
            self.assertCode(outcome, 0)
            identity = int(outcome.out)
            self.assertCode(self.ctl('wait', identity), 0)
            self.assertEqual(self.procd.status(identity)['uid'], NOBODY, name)


@as_root
class LargeNumbers(UsersTest):
    """Directories of whole companies number their users in the billions."""

    UID = 4000000001
    options = UsersTest.options + ('--allow-confined',)  # procd is in a mount namespace of its own here
    settings = {**UsersTest.settings, 'started': False}

    def test_a_user_by_a_number_of_ten_digits(self):
        users = self.path('passwd')
        shutil.copy('/etc/passwd', users)
        with open(users, 'a') as f:
            f.write(f'large:x:{self.UID}:{self.UID}:::/bin/sh\n')
        self.procd.wrapper = ['unshare', '--mount', '--', 'sh', '-c', f'mount --bind {users} /etc/passwd && exec "$@"', 'sh']
        self.procd.start()
        for user in (str(self.UID), 'large'):
            identity = self.spawned('--user', user, '--', 'true')
            self.assertEqual(self.procd.status(identity)['uid'], self.UID)
        for user in (str(2**32 + NOBODY), '99999999999999999999', '-1', '4294967295'):
            outcome = self.ctl('--json', 'spawn', f'--user={user}', '--', 'true')
            self.assertEqual((outcome.code, outcome.kind), (1, 'bad_request'), outcome)


class Retention(ProcdTest):
    options = ('--retain', '3')

    def test_the_newest_ended_are_kept(self):
        with self.client() as client:
            own = [client.spawn('true')['id'] for _ in range(5)]
            client.wait(*own)
            logs = [client.status(each)['log'] for each in own]
            self.assertEqual([p['id'] for p in self.procd.list()], own, 'all of an owner that lives')
        # Its owner is gone: now they count among the newest of all.
        wait_until(lambda: [p['id'] for p in self.procd.list()] == own[-3:])
        wait_until(lambda: [os.path.exists(log) for log in logs] == [False, False, True, True, True])
        self.assertCode(self.ctl('status', own[0]), 4)

    def test_one_that_is_waited_for_is_kept(self):
        first, last = self.spawned('--', 'true'), self.spawned('--', 'sleep', '1000')
        self.ctl('wait', first)
        waiter = self.client()
        waiting = waiter.request('wait', {'processes': [first, last]})
        self.assertTrue(waiter.pending(waiting))
        others = [self.spawned('--', 'true') for _ in range(5)]
        self.ctl('wait', others[-1])
        wait_until(lambda: not any(p['alive'] for p in self.procd.list() if p['id'] in others))
        self.assertIn(first, [p['id'] for p in self.procd.list()])
        self.ok('kill', last)
        self.assertEqual([p['id'] for p in waiter.result(waiting)['processes']], [first, last])
