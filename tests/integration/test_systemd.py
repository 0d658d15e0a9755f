"""procd as a service of a real systemd, as `cmake --install` leaves it."""

from harness import time_limit, wait_until
from systemd_box import BoxTest

UNITS = '/usr/local/lib/systemd/'
# Ignores SIGTERM, in a session of its own, orphaned, with a cleaned environment.
HIDING = ['sh', '-c', '(setsid env -i sh -c \'trap "" TERM; echo $$ >/run/hidden; while :; do sleep 1000; done\' &) ; exec sleep 1000']


class System(BoxTest):
    def use(self):
        self.ok('systemd-sysusers')
        self.ok('systemctl', 'daemon-reload')

    def drop_in(self, text):
        self.box.write('/etc/systemd/system/procd.service.d/test.conf', f'[Service]\n{text}\n')
        self.ok('systemctl', 'daemon-reload')

    def hidden(self):
        self.ok('procctl', 'spawn', '-q', '--name', 'hiding', '--', *HIDING)
        wait_until(lambda: self.box.run('cat', '/run/hidden').out.strip())
        return int(self.ok('cat', '/run/hidden').out)

    def main_pid(self):
        return int(self.property_of('MainPID'))

    @time_limit(120)
    def test_units_are_clean(self):
        self.use()
        for kind in ('system', 'user'):
            for unit in ('procd.service', 'procd.socket'):
                verified = self.box.run('env', 'XDG_RUNTIME_DIR=/run', 'systemd-analyze', f'--{kind}', 'verify', '--man=no',
                                        '--recursive-errors=no', f'{UNITS}{kind}/{unit}')
                self.assertEqual((verified.code, verified.err.strip()), (0, ''), verified)

    @time_limit(120)
    def test_the_first_client_starts_it(self):
        self.use()
        self.ok('systemctl', 'enable', '--now', 'procd.socket')
        self.assertEqual(self.property_of('ActiveState'), 'inactive')
        self.assertEqual(self.ok('stat', '-c', '%a %U:%G', '/run/procd/procd.sock').out.strip(), '660 root:procd')
        self.assertIn('cgroup', self.ok('procctl', 'info').out)
        self.assertEqual(self.property_of('ActiveState'), 'active')
        # The socket is still there when the service has gone, and starts it again.
        self.ok('systemctl', 'stop', 'procd.service', 'procd.socket')
        self.ok('systemctl', 'start', 'procd.socket')
        self.ok('systemctl', 'start', 'procd.service')
        self.ok('systemctl', 'stop', 'procd.service')
        self.ok('procctl', 'status')
        self.assertEqual(self.property_of('ActiveState'), 'active')

    @time_limit(120)
    def test_it_says_how_it_is(self):
        self.use()
        self.ok('systemctl', 'start', 'procd')  # returns when the socket answers
        self.ok('procctl', 'spawn', '--name', 'one', '--', 'sleep', '1000')
        wait_until(lambda: self.property_of('StatusText') == '1 process', message=lambda: self.property_of('StatusText'))
        self.ok('procctl', 'terminate', '--wait', 'one')
        wait_until(lambda: self.property_of('StatusText') == '0 processes', message=lambda: self.property_of('StatusText'))
        log = self.ok('procctl', 'list', '--all', '--json').json['processes'][0]['log']
        self.assertTrue(log.startswith('/var/log/procd/'), log)

    @time_limit(120)
    def test_a_stop_leaves_nothing(self):
        self.use()
        self.drop_in('ExecStart=\nExecStart=/usr/local/bin/procd --drain 0 --grace 1')
        self.ok('systemctl', 'start', 'procd')
        hidden = self.hidden()
        group = self.ok('cat', f'/proc/{hidden}/cgroup').out.split('0::')[1].strip()
        self.assertTrue(group.startswith('/system.slice/procd.service/'), group)
        self.ok('systemctl', 'stop', 'procd')
        self.assertFalse(self.lives(hidden))
        self.assertEqual(self.property_of('Result'), 'success', self.box.journal())
        self.assertNotEqual(self.box.run('test', '-e', '/sys/fs/cgroup/system.slice/procd.service').code, 0)

    @time_limit(120)
    def test_a_stop_leaves_nothing_where_procd_has_to_be_killed(self):
        self.use()
        self.drop_in('TimeoutStopSec=1')
        self.ok('systemctl', 'start', 'procd')
        hidden = self.hidden()
        self.ok('kill', '-STOP', self.main_pid())
        self.ok('systemctl', 'stop', 'procd')
        self.assertFalse(self.lives(hidden))

    @time_limit(120)
    def test_a_crash_brings_it_back_and_leaves_nothing_behind(self):
        self.use()
        self.ok('systemctl', 'start', 'procd')
        hidden, main = self.hidden(), self.main_pid()
        self.ok('kill', '-KILL', main)
        wait_until(lambda: self.main_pid() not in (0, main) and self.property_of('ActiveState') == 'active', message=self.box.journal)
        self.assertFalse(self.lives(hidden))
        self.ok('procctl', 'status')

    @time_limit(120)
    def test_a_loop_that_hangs_is_restarted(self):
        self.use()
        self.drop_in('WatchdogSec=1\nTimeoutAbortSec=1')
        self.ok('systemctl', 'start', 'procd')
        main = self.main_pid()
        self.ok('procctl', 'run', 'sleep', '2.5')  # as long as it turns it is left alone
        self.assertEqual(self.main_pid(), main)
        self.ok('kill', '-STOP', main)
        wait_until(lambda: self.main_pid() not in (0, main) and self.property_of('ActiveState') == 'active', message=self.box.journal)
        self.assertIn('Watchdog timeout', self.box.journal())


class User(BoxTest):
    user = 'alice'

    @time_limit(120)
    def test_started_by_hand_it_asks_for_a_scope(self):
        # In a service of the system's, which its user may not write to, as little as a session.
        uid = self.ok('id', '-u', 'alice').out.strip()
        self.ok('systemd-run', '--uid=alice', '--unit=by-hand', f'--setenv=XDG_RUNTIME_DIR=/run/user/{uid}',
                '--setenv=HOME=/home/alice', '--property=Type=notify', '/usr/local/bin/procd', '--containment', 'auto')
        self.assertTrue(self.ok_as_user('procctl', '--json', 'info').json['containment'].startswith('cgroup'))
        pid = int(self.ok_as_user('procctl', 'run', 'sh', '-c', 'echo $PPID').out)
        group = self.ok('cat', f'/proc/{pid}/cgroup').out.split('0::')[1].strip()
        self.assertTrue(group.endswith(f'/procd-{pid}.scope'), group)
        self.ok_as_user('procctl', 'shutdown', '--now')
        wait_until(lambda: self.box.run('test', '-e', f'/sys/fs/cgroup{group}').code != 0)

    @time_limit(120)
    def test_a_user_has_one_too(self):
        self.ok_as_user('systemctl', '--user', 'enable', '--now', 'procd.socket')
        information = self.ok_as_user('procctl', 'info').out
        self.assertIn('cgroup', information)
        identity = self.ok_as_user('procctl', 'spawn', '-q', '--name', 'mine', '--', 'sleep', '1000').out.strip()
        pid = int(self.ok_as_user('procctl', 'pid', identity).out)
        group = self.ok('cat', f'/proc/{pid}/cgroup').out.split('0::')[1].strip()
        self.assertIn('/procd.service/', group)
        self.assertEqual(self.ok('stat', '-c', '%U', f'/proc/{pid}').out.strip(), 'alice')
        self.ok_as_user('systemctl', '--user', 'stop', 'procd.service', 'procd.socket')
        self.assertFalse(self.lives(pid))
