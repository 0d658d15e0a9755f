"""procd as a service of a real systemd, as `cmake --install` leaves it."""

from harness import time_limit, wait_until
from systemd_box import BoxTest, ServiceTest

UNITS = '/usr/local/lib/systemd/'
# Opens a connection to itself, and a device that is not among those which every service has.
REACH = '''
import os, socket, stat
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname(), 5)
os.mknod("/run/kmsg", stat.S_IFCHR | 0o600, os.makedev(1, 11))
try:
    os.close(os.open("/run/kmsg", os.O_RDONLY | os.O_NONBLOCK))
finally:
    os.unlink("/run/kmsg")
'''


class System(ServiceTest):
    @time_limit(120)
    def test_units_are_clean(self):
        for kind in ('system', 'user'):
            for unit in ('procd.service', 'procd-processes.service', 'procd.socket'):
                verified = self.box.run('env', 'XDG_RUNTIME_DIR=/run', 'systemd-analyze', f'--{kind}', 'verify', '--man=no',
                                        '--recursive-errors=no', f'{UNITS}{kind}/{unit}')
                self.assertEqual((verified.code, verified.err.strip()), (0, ''), verified)

    @time_limit(120)
    def test_the_first_client_starts_it(self):
        self.systemctl('enable', '--now', 'procd.socket')
        self.assertEqual(self.show('ActiveState'), 'inactive')
        self.assertEqual(self.ok('stat', '-c', '%a %U:%G', '/run/procd/procd.sock').out.strip(), '660 root:procd')
        self.assertIn('cgroup', self.procctl('info').out)
        self.assertTrue(self.is_up())
        # The socket is still there when the service has gone, and starts it again.
        self.systemctl('stop', 'procd.service', 'procd.socket')
        self.systemctl('start', 'procd.service')
        self.systemctl('stop', 'procd.service')
        self.procctl('status')
        self.assertTrue(self.is_up())

    @time_limit(120)
    def test_it_says_how_it_is(self):
        self.systemctl('start', 'procd')  # returns when the socket answers
        self.procctl('spawn', '--name', 'one', '--', 'sleep', '1000')
        wait_until(lambda: self.show('StatusText') == '1 process', message=lambda: self.show('StatusText'))
        self.procctl('terminate', '--wait', 'one')
        wait_until(lambda: self.show('StatusText') == '0 processes', message=lambda: self.show('StatusText'))
        log = self.procctl('list', '--all', '--json').json['processes'][0]['log']
        self.assertTrue(log.startswith('/var/log/procd/'), log)

    @time_limit(120)
    def test_a_loop_that_hangs_is_restarted(self):
        self.drop_in('[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\n')
        self.systemctl('start', 'procd')
        main = self.main_pid()
        self.procctl('run', 'sleep', '2.5')  # as long as it turns it is left alone
        self.assertEqual(self.main_pid(), main)
        self.ok('kill', '-STOP', main)
        self.back(main)
        self.assertIn('Watchdog timeout', self.log())

    @time_limit(120)
    def test_what_confines_procd_does_not_confine_its_processes(self):
        self.systemctl('start', 'procd')
        self.procctl('run', 'python3', '-c', REACH)
        for name, value in (('IPAddressDeny', '::/0 0.0.0.0/0'), ('DevicePolicy', 'closed')):
            self.assertEqual(sorted(self.show(name).split()), sorted(value.split()))
            confined = self.box.run('systemd-run', '--pipe', '--wait', '-q', '-p', f'{name}={value}', 'python3', '-c', REACH)
            self.assertNotEqual(confined.code, 0, f'{name} confines nobody here: {confined}')
        self.assertEqual(self.show('IPAddressDeny', 'procd-processes.service'), '')
        self.assertEqual(self.show('DevicePolicy', 'procd-processes.service'), 'auto')
        self.assertEqual(self.show('DeviceAllow', 'procd-processes.service'), '')


class Scope(BoxTest):
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


class User(ServiceTest):
    user = 'alice'

    @time_limit(120)
    def test_a_user_has_one_too(self):
        self.systemctl('enable', '--now', 'procd.socket')
        self.assertIn('cgroup', self.procctl('info').out)
        identity = self.procctl('spawn', '-q', '--name', 'mine', '--', 'sleep', '1000').out.strip()
        pid = int(self.procctl('pid', identity).out)
        self.assertIn('/app.slice/procd-processes.service/', self.group_of(pid))
        self.assertEqual(self.ok('stat', '-c', '%U', f'/proc/{pid}').out.strip(), 'alice')
        self.systemctl('stop', 'procd.service', 'procd.socket')
        self.assertNothingLeft(pid)
