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


@as_root
class Users(ProcdTest):
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
