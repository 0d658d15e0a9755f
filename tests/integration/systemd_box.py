"""A real systemd in a box: namespaces of its own over an overlay of this machine's /, with procd installed in it."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import unittest

from instance import Outcome
from machine import BUILD, DEFAULT_PATH, cgroup2_mount, read_text, remove_cgroup, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDED = ('/lib/systemd/systemd', '/usr/bin/dbus-daemon', '/usr/bin/unshare', '/usr/bin/nsenter')
BOOT_LIMIT = 60.0


def why_not():
    """Why no box can be made here, or None."""
    if os.geteuid() != 0:
        return 'needs root'
    missing = [path for path in NEEDED if not os.path.exists(path)]
    if missing:
        return f'needs {" ".join(missing)} (scripts/setup test)'
    if cgroup2_mount() is None:
        return 'needs a cgroup2 mount'
    if subprocess.run(['unshare', '--cgroup', '--mount', '--pid', '--uts', '--ipc', '--net', '--fork', 'true'],
                      capture_output=True).returncode != 0:
        return 'no namespaces can be made here'
    return None


def install(stage):
    """`cmake --install` of the build under test, below a directory."""
    environment = {**os.environ, 'DESTDIR': stage}
    done = subprocess.run(['cmake', '--install', BUILD], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f'cmake --install {BUILD}:\n{done.stdout}{done.stderr}')


class Box:
    """Booted on entry; powered off on exit, when nothing of it is left either."""

    count = 0

    def __init__(self, user=None):
        self.user = user

    def __enter__(self):
        Box.count += 1
        self.dir = tempfile.mkdtemp(prefix=f'procd-test-{os.getpid()}-box-')
        self.cgroup = os.path.join(cgroup2_mount(), f'procd-test-{os.getpid()}-box-{Box.count}')
        self.boot = None
        try:
            self._boot()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _boot(self):
        stage = os.path.join(self.dir, 'stage')
        install(stage)
        os.mkdir(self.cgroup)

        def enter_group():
            # The root of the new cgroup namespace is where it is made from.
            with open(os.path.join(self.cgroup, 'cgroup.procs'), 'w') as f:
                f.write('0')

        with open(os.path.join(self.dir, 'log'), 'wb') as log:
            self.boot = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', '--', 'unshare', '--cgroup', '--mount', '--pid', '--uts', '--ipc', '--net',
                 '--fork', '--kill-child', 'bash', os.path.join(HERE, 'systemd_box_init.sh'), self.dir, stage,
                 *([self.user] if self.user else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=enter_group)
        pid_file = os.path.join(self.dir, 'pid')
        wait_until(lambda: read_text(pid_file).endswith('\n') or self.boot.poll() is not None, BOOT_LIMIT, self._why)
        if self.boot.poll() is not None:
            raise AssertionError(self._why())
        self.pid = int(read_text(pid_file))
        # unshare itself waits outside: only systemd's own processes stay in its group.
        own = cgroup2_mount() + read_text('/proc/self/cgroup').split('0::')[1].split('\n')[0]
        with open(os.path.join(own, 'cgroup.procs'), 'w') as f:
            f.write(str(self.boot.pid))
        wait_until(lambda: self.run('systemctl', 'is-system-running').out.strip() in ('running', 'degraded'), BOOT_LIMIT, self._why)
        if self.user:
            wait_until(lambda: self.as_user('systemctl', '--user', 'is-system-running').out.strip() in ('running', 'degraded'),
                       BOOT_LIMIT, lambda: self.run('journalctl', '--no-pager', '-n', '50').out)

    def _why(self):
        return f'the box did not boot:\n{read_text(os.path.join(self.dir, "log"))}{read_text(os.path.join(self.dir, "kmsg"))}'

    def __exit__(self, *_):
        if self.boot:
            with contextlib.suppress(AssertionError, OSError, AttributeError, subprocess.TimeoutExpired):
                self.run('systemctl', 'poweroff')
                self.boot.wait(BOOT_LIMIT)
            if self.boot.poll() is None:
                self.boot.kill()  # and with it, by --kill-child, its init
                self.boot.wait()
        remove_cgroup(self.cgroup)
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, *argv, timeout=60):
        """Runs a program in the box, as root, to its end."""
        command = ['nsenter', '-t', str(self.pid), '-m', '-u', '-i', '-n', '-p', '-C', '-r', '-w', '--',
                   'env', '-i', f'PATH={DEFAULT_PATH}', 'HOME=/root', *map(str, argv)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        return Outcome(list(map(str, argv)), done.returncode, done.stdout, done.stderr, 0.0)

    def as_user(self, *argv, **options):
        """Runs a program as the box's user, with the variables of a login."""
        uid = self.run('id', '-u', self.user).out.strip()
        return self.run('setpriv', '--reuid', self.user, '--regid', self.user, '--init-groups', 'env', f'HOME=/home/{self.user}',
                        f'XDG_RUNTIME_DIR=/run/user/{uid}', f'DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus', *argv, **options)

    def write(self, path, text):
        done = self.run('sh', '-c', 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1"', 'sh', path, text)
        if done.code != 0:
            raise AssertionError(done)

    def journal(self, unit='procd.service'):
        return self.run('journalctl', '--no-pager', '-o', 'short-precise', '-u', unit).out


@unittest.skipIf(why_not(), why_not())
class BoxTest(unittest.TestCase):
    """A test in a box of its own, as self.box."""

    user = None
    maxDiff = None

    def setUp(self):
        self.box = Box(self.user).__enter__()
        self.addCleanup(self.box.__exit__, None, None, None)

    def ok(self, *argv, **options):
        outcome = self.box.run(*argv, **options)
        self.assertEqual(outcome.code, 0, f'{outcome}\n{self.box.journal()}')
        return outcome

    def ok_as_user(self, *argv, **options):
        outcome = self.box.as_user(*argv, **options)
        self.assertEqual(outcome.code, 0, outcome)
        return outcome

    def property_of(self, name, unit='procd.service', run=None):
        return (run or self.ok)('systemctl', *(['--user'] if run else []), 'show', '-P', name, unit).out.strip()

    def lives(self, pid):
        return self.box.run('kill', '-0', pid).code == 0


class ServiceTest(BoxTest):
    """procd as a service: of the machine, or with `user` of that user's own systemd. The tests of both are the same."""

    # Ignores SIGTERM, in a session of its own, orphaned, with a cleaned environment.
    HIDING = ['sh', '-c', '(setsid env -i sh -c \'trap "" TERM; echo $$ >/tmp/hidden; while :; do sleep 1000; done\' &) ; exec sleep 1000']

    def setUp(self):
        super().setUp()
        self.kind = 'user' if self.user else 'system'
        if not self.user:
            self.ok('systemd-sysusers')
        self.systemctl('daemon-reload')

    def run_in(self, *argv, **options):
        """Runs a program in the box as whoever the service belongs to."""
        return (self.box.as_user if self.user else self.box.run)(*argv, **options)

    def okay(self, *argv, **options):
        outcome = self.run_in(*argv, **options)
        self.assertEqual(outcome.code, 0, f'{outcome}\n{self.log()}')
        return outcome

    def systemctl(self, *words, **options):
        return self.okay('systemctl', *(['--user'] if self.user else []), *words, **options)

    def procctl(self, *words, **options):
        return self.okay('procctl', *words, **options)

    def show(self, name, unit='procd.service'):
        return self.systemctl('show', '-P', name, unit).out.strip()

    def main_pid(self):
        return int(self.show('MainPID'))

    def is_up(self):
        return self.show('ActiveState') == 'active'

    def back(self, former):
        """Waits until another procd than that one serves."""
        wait_until(lambda: self.main_pid() not in (0, former) and self.is_up(), message=self.log)

    def log(self):
        """All that the two units and systemd said of them."""
        match = ['--unit=procd.service', '--unit=procd-processes.service']
        if self.user:
            match = ['_UID=' + self.box.run('id', '-u', self.user).out.strip()]
        return self.box.run('journalctl', '--no-pager', '-o', 'short-precise', *match).out

    def drop_in(self, text, unit='procd.service'):
        self.box.write(f'/etc/systemd/{self.kind}/{unit}.d/test.conf', text)
        self.systemctl('daemon-reload')

    def hidden(self):
        """A process that hides; its number."""
        self.procctl('spawn', '-q', '--name', 'hiding', '--', *self.HIDING)
        wait_until(lambda: self.box.run('cat', '/tmp/hidden').out.strip())
        return int(self.ok('cat', '/tmp/hidden').out)

    def group_of(self, pid):
        return self.ok('cat', f'/proc/{pid}/cgroup').out.split('0::')[1].strip()

    def groups(self):
        """The control groups of procd's units that there are."""
        return self.ok('find', '/sys/fs/cgroup', '-type', 'd', '-name', 'procd*.service').out.split()

    def assertNothingLeft(self, *pids):
        for pid in pids:
            self.assertFalse(self.lives(pid), f'{pid} lives\n{self.log()}')
        self.assertEqual(self.groups(), [], self.log())
        self.assertEqual(self.show('ActiveState', 'procd-processes.service'), 'inactive', self.log())
