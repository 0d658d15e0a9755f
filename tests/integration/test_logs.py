"""Logs: where they are, whose, how a caller asks for them, and when they go."""

import contextlib
import os
import shutil
import stat
import subprocess

from harness import PROCD_BIN, PYTHON, Client, ProcdTest, as_root, read_text, wait_until
from logs import LogsTest, pieces, read_bytes

SH = '/bin/sh'
NOBODY, OTHER = 65534, 65533
ENV = {'PATH': '/usr/local/bin:/usr/bin:/bin'}


class Parameters(LogsTest):
    def shell(self, script, **params):
        return self.client().spawn(SH, '-c', script, env=ENV, owner='procd', **params)

    def refused(self, **params):
        error = self.client().error('spawn', command=['/bin/true'], **params)
        self.assertEqual(error.kind, 'bad_request', error)
        return error.message

    def test_stderr_of_its_own(self):
        process = self.ended(self.shell('echo out; echo err >&2', stdio={'stderr': 'separate'}))
        self.assertEqual(read_text(process['log']), 'out\n')
        self.assertEqual(read_text(process['log_stderr']), 'err\n')
        process = self.ended(self.shell('echo out; echo err >&2'))
        self.assertIsNone(process['log_stderr'])
        alone = self.shell('echo out; echo err >&2', stdio={'stdout': 'null', 'stderr': 'separate'})
        self.client().wait(alone['id'])
        self.assertIsNone(alone['log'])
        self.assertEqual(read_text(alone['log_stderr']), 'err\n')
        self.client().call('close', processes=[process['id'], alone['id']])
        wait_until(lambda: not os.path.exists(alone['log_stderr']))

    def test_refused_with_its_path(self):
        self.assertTrue(self.refused(log={'max': -1}).startswith('params.log.max: out of range'))
        self.assertTrue(self.refused(log={'max': 1.5}).startswith('params.log.max: expected an integer'))
        self.assertTrue(self.refused(log={'max': 1 << 63}).startswith('params.log.max: out of range'))
        self.assertTrue(self.refused(log={'keep': 101}).startswith('params.log.keep: out of range (0 to 100)'))
        self.assertTrue(self.refused(log={'keep': -1}).startswith('params.log.keep: out of range'))
        self.assertTrue(self.refused(log={'via': 'fax'}).startswith('params.log.via: expected one of'))
        self.assertTrue(self.refused(log={'size': 1}).startswith('params.log.size: unknown parameter'))
        self.assertIn('params.stdio.stdout: "separate"', self.refused(stdio={'stdout': 'separate'}))
        self.assertIn('params.log: neither', self.refused(log={}, stdio={'stdout': 'null', 'stderr': 'stdout'}))
        self.assertIn('params.log: the journal', self.refused(log={'via': 'journal', 'max': 1}))
        self.assertUnhurt()

    def test_who_says_how_wants_it_logged(self):
        outcome = self.procd.sh('procctl session -- sh -c \'procctl spawn -q --log-max 1M -- echo hello; procctl wait\'')
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(outcome.out, outcome.out.split()[0] + '\n', 'its output went to the session')
        outcome = self.ok('run', '--log', 'file', '--stderr', 'null', '--', 'echo', 'hello')
        self.assertEqual(outcome.out, '')

    def test_of_procctl(self):
        identity = self.spawned('--log', 'file', '--log-max', '64K', '--log-keep', '0', '--stderr', 'separate', '--',
                                'sh', '-c', 'seq 100000; echo err >&2')
        process = self.procd.await_state(identity)
        self.assertEqual(read_text(process['log_stderr']), 'err\n')
        self.let_go(process['log'])
        self.assertLess(os.path.getsize(process['log']), 65536)
        self.assertTrue(read_text(process['log']).endswith('\n99999\n100000\n'))
        self.assertEqual(pieces(process['log']), [])
        for arguments in (['--log-max', '1X'], ['--log-max', '-1'], ['--log-keep', '101'], ['--log', 'fax'], ['--log-keep', 'x']):
            self.assertCode(self.ctl('spawn', *arguments, '--', 'true'), 2)

    def test_defaults_of_procd(self):
        for options in (['--log-max', '1X'], ['--log-max', '-1'], ['--log-keep', '101']):
            outcome = self.procd.run([PROCD_BIN, '-s', self.path('other.sock'), *options], timeout=10)
            self.assertCode(outcome, 2)

    def test_goes_with_its_record_unless_it_is_to_stay(self):
        client = self.client()
        gone = self.ended(self.shell('seq 100000', log={'max': 65536, 'keep': 2}))
        stays = self.ended(self.shell('seq 100000', log={'max': 65536, 'keep': 2, 'retain': True}))
        self.assertTrue(pieces(gone['log']) and pieces(stays['log']))
        client.call('close', processes=[gone['id'], stays['id']])
        after = {os.path.basename(stays['log']) + suffix for suffix in ('', '.1', '.2', '.index')}
        wait_until(lambda: set(os.listdir(os.path.dirname(gone['log']))) == after,
                   message=lambda: os.listdir(os.path.dirname(gone['log'])))

    def test_no_log_is_left_of_a_start_that_failed(self):
        folder = os.path.dirname(self.shell('true')['log'])
        before = os.listdir(folder)
        for log in ({}, {'via': 'pipe'}):
            self.assertEqual(self.client().error('spawn', command=['/no/such/program'], log=log).kind, 'exec_failed')
        wait_until(lambda: os.listdir(folder) == before, message=lambda: os.listdir(folder))

    def test_names(self):
        names = ['a/../../b', 'with space', '\N{DOG}' * 60, '..', 'x' * 255, 'x' * 254 + 'y', 'log.1', 'x.index']
        logs = [self.ended(self.shell('echo "$PROCD_NAME"', name=name))['log'] for name in names]
        for name, log in zip(names, logs):
            self.assertEqual(read_bytes(log).decode(), name + '\n')
            self.assertEqual(os.path.dirname(log), os.path.dirname(logs[0]))
        self.assertEqual(len(set(logs)), len(names))


class ByDefault(LogsTest):
    options = ('--log-max', '64K', '--log-keep', '2')

    def test_limit_of_procd(self):
        process = self.ended(self.numbers(100_000))
        self.assertNumbered(process['log'], 100_000)
        self.assertEqual(len(pieces(process['log'])), 2)
        self.assertLess(os.path.getsize(process['log']), 65536)
        free = self.ended(self.numbers(100_000, log={'max': 0}))
        self.assertEqual(self.assertNumbered(free['log'], 100_000), 2_100_000)


class Places(ProcdTest):
    settings = {'started': False}

    def started_with(self, *options, **env):
        """Where the log of a process is with a procd that has these options and this environment alone."""
        names = ('LOGS_DIRECTORY', 'STATE_DIRECTORY', 'XDG_STATE_HOME', 'XDG_RUNTIME_DIR')
        environment = {k: v for k, v in os.environ.items() if k not in names and not k.startswith('PROCD_')}
        runtime = self.path('run')
        os.makedirs(runtime, exist_ok=True)
        os.chown(runtime, NOBODY, NOBODY)
        reader, writer = os.pipe()
        program = subprocess.Popen(
            ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--', PROCD_BIN, '--containment', 'subreaper',
             '--ready-fd', str(writer), *options],
            pass_fds=(writer,), env={**environment, 'HOME': self.path('home'), 'XDG_RUNTIME_DIR': runtime, **env},
            stderr=subprocess.DEVNULL)
        os.close(writer)
        with open(reader, 'rb') as ready:
            self.assertTrue(ready.read(1))
        try:
            with contextlib.closing(Client(os.path.join(runtime, 'procd', 'procd.sock'))) as client:
                return client.spawn('/bin/true', owner='procd')['log']
        finally:
            program.terminate()
            self.assertEqual(program.wait(20), 0)

    @as_root
    def test_of_a_users_procd(self):
        if shutil.which('setpriv') is None:
            self.skipTest('needs setpriv')
        os.chmod(self.dir, 0o777)
        state, logs = self.path('state'), self.path('logs')
        at = {
            self.path('home', '.local', 'state', 'procd', 'log'): {},
            self.path('xdg', 'procd', 'log'): {'XDG_STATE_HOME': self.path('xdg')},
            os.path.join(state, 'log'): {'STATE_DIRECTORY': state + ':/nowhere'},
            logs: {'STATE_DIRECTORY': state, 'LOGS_DIRECTORY': logs + ':/nowhere'},
        }
        for number, (directory, env) in enumerate(at.items(), 1):  # ids go on: the journal is the same one's
            log = self.started_with(**env)
            self.assertEqual(log, os.path.join(directory, f'{number}-Process-{number}.log'))
            info = os.stat(directory)
            self.assertEqual((stat.S_IMODE(info.st_mode), info.st_uid), (0o700, NOBODY))

    @as_root
    def test_without_permission(self):
        if shutil.which('setpriv') is None:
            self.skipTest('needs setpriv')
        os.chmod(self.dir, 0o755)
        os.mkdir(self.path('mine'), 0o700)
        outcome = self.procd.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--', PROCD_BIN, '-s',
                                  self.path('mine', 'sock'), '--log-dir', self.path('mine', 'log')], timeout=10)
        self.assertCode(outcome, 1)
        self.assertIn('Permission denied', outcome.err)


@as_root
class OfUsers(LogsTest):
    options = ('--socket-mode', '0666')
    settings = {'directory_mode': 0o755}

    def setUp(self):
        if shutil.which('setpriv') is None:
            self.skipTest('needs setpriv')
        super().setUp()

    def as_user(self, uid, *argv):
        return self.procd.run(['setpriv', f'--reuid={uid}', f'--regid={uid}', '--clear-groups', '--', *map(str, argv)], cwd='/')

    def spawned_as(self, uid, *args):
        outcome = self.as_user(uid, self.path('bin', 'procctl'), 'spawn', '-q', *args)
        self.assertCode(outcome, 0)
        return int(outcome.out)

    def test_a_folder_each(self):
        for uid in (NOBODY, OTHER):
            log = self.procd.await_state(self.spawned_as(uid, '--', 'echo', 'hello'))['log']
            self.assertEqual(os.path.dirname(log), os.path.join(self.procd.log_dir, str(uid)))
            for path, mode in ((os.path.dirname(log), 0o700), (log, 0o600)):
                info = os.stat(path)
                self.assertEqual((info.st_uid, stat.S_IMODE(info.st_mode)), (uid, mode), path)
            self.assertEqual(self.as_user(uid, 'cat', log).out, 'hello\n')
            self.assertNotEqual(self.as_user(NOBODY + OTHER - uid, 'cat', log).code, 0)
            self.assertNotEqual(self.as_user(uid, 'ls', self.procd.log_dir).code, 0)
        self.assertEqual(stat.S_IMODE(os.stat(self.procd.log_dir).st_mode), 0o711)

    def test_pieces_are_the_users(self):
        process = self.procd.await_state(self.spawned_as(
            NOBODY, '--log-max', '64K', '--log-keep', '2', '--', 'seq', '100000'))
        self.let_go(process['log'])
        for suffix in ('', '.1', '.2', '.index'):
            info = os.stat(process['log'] + suffix)
            self.assertEqual((info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)), (NOBODY, NOBODY, 0o600), suffix)

    def test_a_user_leads_procd_nowhere(self):
        """Whatever a user makes of the folder, procd writes and removes nothing outside it."""
        victim = self.path('victim')
        os.mkdir(victim, 0o755)
        targets = {}
        for suffix in ('', '.1', '.1.part', '.2', '.index'):
            targets[suffix] = os.path.join(victim, 'file' + suffix)
            with open(targets[suffix], 'w') as f:
                f.write('roots\n')
        script = self.path('script')
        with open(script, 'w') as f:
            f.write('''
log=$(readlink /proc/self/fd/1)
for round in 1 2 3 4 5 6; do
    seq 100000 119999
    for suffix in "" .1 .1.part .2 .index; do
        rm -rf "$log$suffix"
        case $((round % 3)) in
        0) ln -s "$1/file$suffix" "$log$suffix" ;;
        1) mkdir "$log$suffix" ;;
        2) ln -s "$1" "$log$suffix" ;;
        esac
    done
    sleep 0.1
done
''')
        os.chmod(script, 0o644)
        identity = self.spawned_as(NOBODY, '--log-max', '64K', '--log-keep', '2', '--', 'sh', script, victim)
        process = self.procd.await_state(identity)
        self.assertEqual(process['exitcode'], 0, process)
        self.let_go(process['log'])
        self.client().call('close', processes=[identity])
        self.assertUnhurt()
        self.assertEqual(sorted(os.listdir(victim)), sorted(os.path.basename(path) for path in targets.values()))
        for path in targets.values():
            self.assertEqual((read_text(path), os.stat(path).st_uid, os.stat(path).st_nlink), ('roots\n', 0, 1))


class ByPipe(LogsTest):
    def shell(self, script, **params):
        return self.client().spawn(SH, '-c', script, env=ENV, owner='procd', log={'via': 'pipe', **params})

    def test_all_of_it_is_there_at_the_end(self):
        for _ in range(20):
            process = self.shell('seq 10000; exit 3')
            self.client().wait(process['id'])
            self.assertEqual(read_text(process['log']), ''.join(f'{i}\n' for i in range(1, 10001)))

    def test_of_the_rest_of_its_tree_too(self):
        process = self.shell('(sleep 0.1; seq 10000) & exit 0')
        self.client().wait(process['id'])
        self.assertTrue(read_text(process['log']).endswith('\n10000\n'))

    def test_opened_anew_with_truncation(self):
        process = self.shell('echo one; echo two > /dev/stderr; echo three > /dev/stdout; echo four')
        self.client().wait(process['id'])
        self.assertEqual(read_text(process['log']), 'one\ntwo\nthree\nfour\n')
        lost = self.ended(self.client().spawn(SH, '-c', 'echo one; echo two > /dev/stderr; echo four', env=ENV, owner='procd'))
        self.assertEqual(read_text(lost['log']), 'two\nfour\n', 'a file is truncated: that is what the pipe is for')

    def test_is_held_to_its_limit(self):
        process = self.ended(self.numbers(500_000, log={'via': 'pipe', 'max': 65536, 'keep': 1}))
        self.assertNumbered(process['log'], 500_000)
        self.assertLess(os.path.getsize(process['log']), 65536)

    def test_stderr_of_its_own(self):
        process = self.client().spawn(SH, '-c', 'seq 1000; seq 2000 >&2', env=ENV, owner='procd', log={'via': 'pipe'},
                                      stdio={'stderr': 'separate'})
        self.client().wait(process['id'])
        self.assertEqual((len(read_text(process['log']).split()), len(read_text(process['log_stderr']).split())), (1000, 2000))

    def test_who_escaped_does_not_keep_it_from_its_end(self):
        """The end of a pipe may never come; what is in it at the end counts."""
        process = self.client().spawn(PYTHON, '-c', '''
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
socket.send_fds(s, [b'x'], [1])
print('said')
''', self.keep_descriptor(), owner='procd', log={'via': 'pipe'})
        self.client().wait(process['id'])
        self.assertEqual(read_text(process['log']), 'said\n')
        writer = self.kept()
        self.addCleanup(os.close, writer)

        def broken():
            try:
                os.write(writer, b'late\n')
                return False
            except BrokenPipeError:
                return True
        wait_until(broken)

    def keep_descriptor(self):
        import socket
        path = self.path('keeper.sock')
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.bind(path)
        self.listener.listen()
        return path

    def kept(self):
        import socket
        peer, _ = self.listener.accept()
        with peer:
            return socket.recv_fds(peer, 10, 1)[1][0]


JOURNAL_SOCKET = '/run/systemd/journal/stdout'


class ByJournal(LogsTest):
    def test_without_one_it_is_refused_by_name(self):
        if os.path.exists(JOURNAL_SOCKET):
            self.skipTest('there is a journal here')
        error = self.client().error('spawn', command=['/bin/true'], log={'via': 'journal'})
        self.assertEqual(error.kind, 'exec_failed')
        self.assertIn(JOURNAL_SOCKET, error.message)
        self.assertUnhurt()


@as_root
class ByJournalOfOurOwn(LogsTest):
    """procd in a mount namespace in which the journal's socket is the test's own."""

    options = ('--allow-confined',)
    settings = {'started': False}

    def test_lines_go_there(self):
        import socket
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        os.mkdir(self.path('journal'))
        listener.bind(self.path('journal', 'stdout'))
        listener.listen()
        command = self.procd.command
        script = f'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind {self.path("journal")} ' \
                 '/run/systemd/journal && exec "$@"'
        probe = subprocess.run(['unshare', '-m', 'sh', '-c', script, 'sh', 'true'], capture_output=True, text=True)
        if probe.returncode != 0:
            self.skipTest(f'cannot make a mount namespace: {probe.stderr.strip()}')
        self.procd.command = lambda *options, **named: ['unshare', '-m', 'sh', '-c', script, 'sh', *command(*options, **named)]
        self.procd.start()
        process = self.client().spawn(SH, '-c', 'echo hello; echo "<3>bad"', env=ENV, name='talker', owner='procd', log={'via': 'journal'})
        self.client().wait(process['id'])
        self.assertIsNone(process['log'])
        listener.settimeout(20)
        stream, _ = listener.accept()
        with stream, stream.makefile('rb') as lines:
            # identifier, unit, priority, whether lines say theirs, and where else it is forwarded to
            header = [lines.readline() for _ in range(7)]
            self.assertEqual(header, [b'talker\n', b'\n', b'6\n', b'1\n', b'0\n', b'0\n', b'0\n'])
            self.assertEqual(lines.read(), b'hello\n<3>bad\n')
