"""Whose end is whose, where a real systemd runs procd: procd.service holds procd alone, procd-processes.service the rest."""

from harness import time_limit, wait_until
from systemd_box import ServiceTest

QUICK_STOP = '[Service]\nExecStart=\nExecStart=/usr/local/bin/procd --cgroup ../procd-processes.service --drain 0 --grace 1\n'
# procd has less time than it takes for the processes' graces.
IMPATIENT = '[Service]\nTimeoutStopSec=1\n'
STAYS_AWAY = '[Service]\nRestartSec=1000\n'


class Ends:
    def holder(self):
        """What holds the group of processes while there is none."""
        group = next(group for group in self.groups() if group.endswith('/procd-processes.service'))
        return self.ok('cat', f'{group}/cgroup.procs').out.split()

    @time_limit(120)
    def test_procd_is_alone_in_its_group(self):
        self.systemctl('start', 'procd')
        hidden = self.hidden()
        self.assertTrue(self.group_of(self.main_pid()).endswith('/procd.service'))
        self.assertIn('/procd-processes.service/procd-', self.group_of(hidden))
        own = next(group for group in self.groups() if group.endswith('/procd.service'))
        self.assertEqual(self.ok('cat', f'{own}/cgroup.procs').out.split(), [str(self.main_pid())])
        self.assertEqual(self.ok('find', own, '-mindepth', '1', '-type', 'd').out, '')

    @time_limit(120)
    def test_a_stop_leaves_nothing(self):
        self.drop_in(QUICK_STOP)
        self.systemctl('start', 'procd')
        hidden = self.hidden()
        self.systemctl('stop', 'procd')
        self.assertNothingLeft(hidden)
        for unit in ('procd.service', 'procd-processes.service'):
            self.assertEqual(self.show('Result', unit), 'success', self.log())

    @time_limit(120)
    def test_a_stop_leaves_nothing_where_procd_has_to_be_killed(self):
        self.drop_in(IMPATIENT)
        self.systemctl('start', 'procd')
        hidden = self.hidden()
        self.run_in('kill', '-STOP', self.main_pid())
        self.systemctl('stop', 'procd')
        self.assertNothingLeft(hidden)
        self.assertIn('Result=timeout', self.systemctl('show', 'procd.service').out, 'it did not have to be killed')

    @time_limit(120)
    def test_a_stop_of_the_processes_is_one_of_procd(self):
        self.drop_in(QUICK_STOP)
        self.systemctl('start', 'procd')
        hidden = self.hidden()
        self.systemctl('stop', 'procd-processes')
        self.assertNothingLeft(hidden)
        self.assertEqual(self.show('ActiveState'), 'inactive', self.log())

    @time_limit(120)
    def test_a_crash_hits_procd_alone_and_a_stop_before_it_is_back_ends_the_processes(self):
        self.drop_in(STAYS_AWAY)
        self.systemctl('start', 'procd')
        hidden = self.hidden()
        self.run_in('kill', '-KILL', self.main_pid())
        wait_until(lambda: self.show('SubState') == 'auto-restart', message=self.log)
        self.assertTrue(self.lives(hidden))
        self.assertEqual(self.show('ActiveState', 'procd-processes.service'), 'active')
        self.systemctl('stop', 'procd')
        wait_until(lambda: not self.lives(hidden), message=self.log)
        wait_until(lambda: not self.groups(), message=self.log)

    @time_limit(120)
    def test_a_procd_that_does_not_come_back_is_the_end_of_its_processes(self):
        self.drop_in('[Service]\nRestart=no\n')
        self.systemctl('start', 'procd')
        hidden = self.hidden()
        self.run_in('kill', '-KILL', self.main_pid())
        wait_until(lambda: not self.lives(hidden), message=self.log)
        wait_until(lambda: not self.groups(), message=self.log)
        self.assertEqual(self.show('ActiveState'), 'failed')

    @time_limit(120)
    def test_nobody_is_refused_while_it_is_away(self):
        self.drop_in('[Service]\nRestartSec=1\n')
        self.systemctl('start', 'procd')
        main = self.main_pid()
        self.run_in('kill', '-KILL', main)
        self.assertEqual(self.procctl('--json', 'info').json['pid'], self.main_pid())
        self.assertNotEqual(self.main_pid(), main)

    @time_limit(120)
    def test_who_kills_what_holds_the_group_kills_no_process(self):
        self.systemctl('start', 'procd')
        main = self.main_pid()
        self.procctl('spawn', '-q', '--name', 'one', '--', 'sleep', '1000')
        pid = self.procctl('pid', 'one').out.strip()
        self.run_in('kill', '-KILL', *self.holder())
        wait_until(lambda: not self.holder(), message=self.log)
        self.procctl('spawn', '-q', '--name', 'two', '--', 'sleep', '1000')
        self.assertTrue(self.lives(pid))
        self.assertEqual(self.main_pid(), main)
        # With the last of them the group goes, and comes again with another procd.
        self.procctl('kill', 'one', 'two')
        self.back(main)
        self.assertEqual(len(self.holder()), 1)
        self.procctl('run', 'true')


class System(Ends, ServiceTest):
    pass


class User(Ends, ServiceTest):
    user = 'alice'
