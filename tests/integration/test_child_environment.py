"""What a program finds when it starts: signals, session, environment, limits, directory."""

import json
import os
import pwd
import resource
import signal

from harness import DEFAULT_PATH, PYTHON, ProcdTest, as_root, read_text, wait_for_file

REMOVED = 'NOTIFY_SOCKET LISTEN_PID LISTEN_FDS LISTEN_FDNAMES WATCHDOG_PID WATCHDOG_USEC FDSTORE PROCD_SESSION'.split()

REPORT = r'''
import json, os, resource, sys
status = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)
fields = open('/proc/self/stat', 'rb').read().rpartition(b')')[2].split()
umask = os.umask(0)
try:
    open('/dev/tty')
    tty = None
except OSError as error:
    tty = error.errno
json.dump({'environ': dict(os.environ), 'cwd': os.getcwd(), 'umask': umask, 'pid': os.getpid(), 'ppid': os.getppid(),
           'sid': os.getsid(0), 'pgid': os.getpgid(0), 'tty_nr': int(fields[4]), 'dev_tty': tty,
           'blocked': int(status['SigBlk'], 16), 'ignored': int(status['SigIgn'], 16), 'nonewprivs': int(status['NoNewPrivs']),
           'limits': {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith('RLIMIT_')},
           'uids': os.getresuid(), 'gids': os.getresgid(), 'groups': os.getgroups()}, open(sys.argv[1] + '.new', 'w'))
open(sys.argv[1] + '.new', 'a').write('\n')
os.rename(sys.argv[1] + '.new', sys.argv[1])
'''


class ReportTest(ProcdTest):
    def report(self, *options, command=None, **settings):
        """What a child started by `procctl spawn OPTIONS` finds."""
        out = self.path('report')
        if os.path.exists(out):
            os.unlink(out)
        identity = self.spawned(*options, '--', PYTHON, '-I', '-c', REPORT, out, **settings)
        return self.read(out, identity)

    def wire(self, **params):
        out = self.path('report')
        if os.path.exists(out):
            os.unlink(out)
        with self.client() as client:
            identity = client.spawn(PYTHON, '-I', '-c', REPORT, out, owner='procd', **params)['id']
        return self.read(out, identity)

    def read(self, out, identity):
        report = json.loads(wait_for_file(out))
        report['id'] = identity
        return report


class Surroundings(ReportTest):
    def ignoring(self):
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGRTMIN + 3):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM, signal.SIGRTMAX])

    def test_signals_are_reset(self):
        for report in (self.report(preexec_fn=self.ignoring, restore_signals=False), self.wire()):
            self.assertEqual(report['blocked'], 0)
            # Python itself ignores these two.
            own = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
            self.assertEqual(report['ignored'] & ~own, 0)

    def test_no_signal_is_ignored(self):
        out = self.path('out')
        identity = self.spawned('--', 'grep', '-E', 'Sig(Ign|Blk)', '/proc/self/status', preexec_fn=self.ignoring, restore_signals=False)
        process = self.procd.await_state(identity)
        self.assertEqual({line.split()[1] for line in read_text(process['log']).splitlines()}, {'0' * 16}, out)

    def test_session_of_its_own_and_no_terminal(self):
        report = self.report()
        self.assertEqual((report['sid'], report['pgid'], report['tty_nr'], report['ppid']), (report['pid'], report['pid'], 0, self.procd.pid))
        self.assertEqual(report['dev_tty'], 6)

    def test_umask(self):
        self.assertEqual(self.report(preexec_fn=lambda: os.umask(0o027))['umask'], 0o027)
        self.assertEqual(self.wire()['umask'], 0o022)
        self.assertEqual(self.wire(umask='077')['umask'], 0o077)
        self.assertEqual(self.wire(umask='0')['umask'], 0)

    def test_limits(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (123, 456))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (1000, 2000))
        limits = self.report(preexec_fn=limit)['limits']
        self.assertEqual((limits['RLIMIT_NOFILE'], limits['RLIMIT_CORE'], limits['RLIMIT_CPU']), ([123, 456], [0, 0], [1000, 2000]))

    def test_limits_are_not_procds(self):
        # procd raises its own number of descriptors; a child has the caller's.
        limits = self.report()['limits']
        mine = {name: list(resource.getrlimit(getattr(resource, name))) for name in limits}
        self.assertEqual(limits, mine)
        self.assertEqual(self.wire()['limits']['RLIMIT_NOFILE'], mine['RLIMIT_NOFILE'])

    def test_directory(self):
        self.assertEqual(self.report(cwd=self.dir)['cwd'], self.dir)
        self.assertEqual(self.report('--cwd', self.dir)['cwd'], self.dir)
        self.assertEqual(self.report('--cwd', 'log', cwd=self.dir)['cwd'], self.path('log'))
        self.assertEqual(self.wire()['cwd'], '/')
        self.assertEqual(self.wire(cwd=self.dir)['cwd'], self.dir)


class Environment(ReportTest):
    def test_inherited(self):
        environ = self.report(env={'FOO': 'bar baz', 'EMPTY': ''})['environ']
        self.assertEqual((environ['FOO'], environ['EMPTY']), ('bar baz', ''))

    def test_set_for_each(self):
        report = self.report('--name', 'me')
        environ = report['environ']
        self.assertEqual((environ['PROCD_ID'], environ['PROCD_NAME'], environ['PROCD_SOCKET']), (str(report['id']), 'me', self.procd.socket))
        environ = self.wire(name='wired')['environ']
        self.assertEqual((environ['PROCD_NAME'], environ['PROCD_SOCKET']), ('wired', self.procd.socket))

    def test_of_the_manager_above_is_removed(self):
        values = {name: 'x' for name in REMOVED if name != 'PROCD_SESSION'}
        environ = self.report(env={**values, 'NOTIFY_SOCKETS': 'kept', 'WATCHDOG': 'kept', 'INVOCATION_ID': 'kept', 'JOURNAL_STREAM': 'kept'})['environ']
        self.assertEqual([name for name in REMOVED if name in environ], [])
        for name in ('NOTIFY_SOCKETS', 'WATCHDOG', 'INVOCATION_ID', 'JOURNAL_STREAM'):
            self.assertEqual(environ[name], 'kept')

    def test_of_the_session_is_removed(self):
        outcome = self.ctl('session', '--', 'sh', '-c', 'test -n "$PROCD_SESSION"; procctl run -- env')
        self.assertCode(outcome, 0)
        self.assertNotIn('PROCD_SESSION=', outcome.out)

    def test_given(self):
        environ = self.report('--env', 'A=1', '--env', 'B=x=y', '--env', 'NOTIFY_SOCKET=/given', env={'A': 'old', 'NOTIFY_SOCKET': '/inherited'})['environ']
        self.assertEqual((environ['A'], environ['B'], environ['NOTIFY_SOCKET']), ('1', 'x=y', '/given'))

    def test_given_on_the_wire(self):
        environ = self.wire(env={'NOTIFY_SOCKET': '/given', 'LISTEN_FDS': '1', 'PATH': '/p'})['environ']
        self.assertEqual((environ['NOTIFY_SOCKET'], environ['LISTEN_FDS'], environ['PATH']), ('/given', '1', '/p'))

    def test_procds_own_names_cannot_be_given(self):
        report = self.wire(env={'PROCD_ID': '77', 'PROCD_NAME': 'liar', 'PROCD_SOCKET': '/liar', 'PROCD_X': 'x', 'A': '1'})
        environ = report['environ']
        self.assertEqual((environ['PROCD_ID'], environ['PROCD_SOCKET'], environ['A']), (str(report['id']), self.procd.socket, '1'))
        self.assertNotIn('PROCD_X', environ)
        report = self.report('--env', 'PROCD_ID=77')
        self.assertEqual(report['environ']['PROCD_ID'], str(report['id']))

    def bare(self):
        user = pwd.getpwuid(os.geteuid())
        return {'PATH': DEFAULT_PATH, 'HOME': user.pw_dir, 'USER': user.pw_name, 'LOGNAME': user.pw_name, 'SHELL': user.pw_shell or '/bin/sh'}

    def test_bare(self):
        for environ in (self.wire()['environ'], self.report('--clean-env', env={'FOO': 'bar'})['environ']):
            # LC_CTYPE is Python's own doing.
            rest = {k: v for k, v in environ.items() if not k.startswith('PROCD_') and k != 'LC_CTYPE'}
            self.assertEqual(rest, self.bare())

    def test_bare_with_given(self):
        environ = self.report('--clean-env', '--env', 'A=1')['environ']
        self.assertEqual((environ['A'], environ['PATH']), ('1', DEFAULT_PATH))

    def test_an_empty_one(self):
        environ = self.wire(env={})['environ']
        self.assertEqual({k for k in environ if k != 'LC_CTYPE'}, {'PROCD_ID', 'PROCD_NAME', 'PROCD_SOCKET'})


class Searching(ReportTest):
    def script(self, directory, text='#!/bin/sh\necho found in $0\n'):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, 'tool-of-the-test')
        with open(path, 'w') as f:
            f.write(text)
        os.chmod(path, 0o755)
        return path

    def output(self, identity):
        process = self.procd.await_state(identity)
        self.assertEqual(process['exitcode'], 0)
        return read_text(process['log'])

    def test_in_the_childs_path(self):
        path = self.script(self.path('tools'))
        self.assertCode(self.ctl('spawn', '--', 'tool-of-the-test'), 127)
        identity = self.spawned('--env', f'PATH={self.path("tools")}:/bin:/usr/bin', '--', 'tool-of-the-test')
        self.assertIn(path, self.output(identity))

    def test_after_the_change_of_directory(self):
        self.script(self.path('tools'))
        identity = self.spawned('--cwd', self.path('tools'), '--', './tool-of-the-test')
        self.assertIn('found', self.output(identity))
        identity = self.spawned('--cwd', self.dir, '--env', 'PATH=tools:/bin:/usr/bin', '--', 'tool-of-the-test')
        self.assertIn('found', self.output(identity))

    def test_no_shell_takes_over(self):
        path = self.script(self.path('tools'), 'echo found\n')
        self.assertCode(self.ctl('spawn', '--', path), 126)

    def test_one_that_may_not_be_executed_is_passed_over(self):
        os.makedirs(self.path('first'))
        with open(self.path('first', 'tool-of-the-test'), 'w'):
            pass
        self.script(self.path('second'))
        identity = self.spawned('--env', f'PATH={self.path("first")}:{self.path("second")}:/bin:/usr/bin', '--', 'tool-of-the-test')
        self.assertIn('second', self.output(identity))
        self.assertCode(self.ctl('spawn', '--env', f'PATH={self.path("first")}', '--', 'tool-of-the-test'), 126)


@as_root
class Privileges(ReportTest):
    def test_no_new_privileges_is_handed_on(self):
        out = self.path('report')
        outcome = self.procd.run(['setpriv', '--no-new-privs', 'procctl', 'spawn', '-q', '--', PYTHON, '-I', '-c', REPORT, out])
        self.assertCode(outcome, 0)
        self.assertEqual(json.loads(wait_for_file(out))['nonewprivs'], 1)
        self.assertEqual(self.report()['nonewprivs'], 0)
