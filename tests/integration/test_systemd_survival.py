"""What outlives procd where a real systemd runs it: its processes, with their ids and exit codes, and the socket."""

import time

from harness import time_limit, wait_until
from systemd_box import ServiceTest

WITHIN = 1.0  # in which procd is back
CRASHES = 10
# Longer than it takes to see that procd is away, and to end a process meanwhile.
SLOW_RETURN = '[Service]\nRestartSec=2\n'


class Survival:
    def setUp(self):
        super().setUp()
        self.systemctl('start', 'procd')
        self.count = 0

    def spawn(self, *command):
        """The id and the pid of a process of procd's own."""
        self.count += 1
        name = f'p{self.count}'
        identity = int(self.procctl('spawn', '-q', '--name', name, '--', *command).out)
        return identity, int(self.procctl('pid', name).out)

    def waiting(self, code):
        """A process that ends with a code once it is told to; id and pid."""
        return self.spawn('sh', '-c', f'trap "exit {code}" USR1; while :; do sleep 0.05; done')

    def status(self, identity):
        return self.run_in('procctl', '--json', 'status', identity).json

    def code_of(self, identity):
        return self.run_in('procctl', 'wait', identity).code

    def crash(self):
        main = self.main_pid()
        self.run_in('kill', '-KILL', main)
        return main

    def assertSame(self, identity, pid):
        process = self.status(identity)
        self.assertEqual((process['pid'], process['state'], process['alive']), (pid, 'running', True), self.log())
        self.assertTrue(self.lives(pid))

    def assertKnown(self, identity, pid, code):
        """It still ends as it should, and that is known."""
        self.assertSame(identity, pid)
        self.ok('kill', '-USR1', pid)
        self.assertEqual(self.code_of(identity), code, self.log())
        result = self.status(identity)
        self.assertEqual((result['exitcode'], result['result']['how']), (code, 'exited'))

    def assertQuiet(self):
        """Nothing went wrong that systemd speaks of."""
        self.assertIn('Started procd.service', self.log())
        for word in ('219/CGROUP', '203/EXEC', 'remains running', 'left-over process', 'FileDescriptorStoreMax'):
            self.assertNotIn(word, self.log())

    @time_limit(120)
    def test_a_restart_is_none_for_the_processes(self):
        identity, pid = self.waiting(42)
        main = self.main_pid()
        begin = time.monotonic()
        self.systemctl('restart', 'procd')
        self.procctl('info')
        self.assertLess(time.monotonic() - begin, WITHIN, self.log())
        self.assertNotIn(self.main_pid(), (0, main))
        self.assertKnown(identity, pid, 42)
        self.assertGreater(self.spawn('sleep', '1000')[0], identity)
        self.assertQuiet()

    @time_limit(120)
    def test_a_crash_is_none_for_the_processes(self):
        identity, pid = self.waiting(42)
        begin = time.monotonic()
        main = self.crash()
        self.procctl('info')  # waits in the socket's queue
        self.assertLess(time.monotonic() - begin, WITHIN, self.log())
        self.assertNotIn(self.main_pid(), (0, main))
        self.assertKnown(identity, pid, 42)
        self.assertGreater(self.spawn('sleep', '1000')[0], identity)
        self.assertQuiet()

    @time_limit(240)
    def test_many_crashes_are_none_for_the_processes(self):
        processes = [self.waiting(code) for code in range(CRASHES)]
        for code, (identity, pid) in enumerate(processes):
            self.back(self.crash())
            self.assertKnown(identity, pid, code)
        self.assertQuiet()

    @time_limit(120)
    def test_who_ended_while_it_was_away_is_known_with_the_code(self):
        self.drop_in(SLOW_RETURN)
        ended, killed, lives = self.waiting(42), self.spawn('sleep', '1000'), self.spawn('sleep', '1000')
        main = self.crash()
        wait_until(lambda: self.show('SubState') == 'auto-restart', message=self.log)
        self.ok('kill', '-USR1', ended[1])
        self.ok('kill', '-KILL', killed[1])
        wait_until(lambda: not self.lives(ended[1]) and not self.lives(killed[1]))
        self.assertEqual(self.show('SubState'), 'auto-restart', 'procd came back too early for this test')
        self.back(main)
        self.assertEqual((self.code_of(ended[0]), self.code_of(killed[0])), (42, 128 + 9), self.log())
        self.assertEqual(self.status(ended[0])['result']['how'], 'exited')
        self.assertEqual(self.status(killed[0])['exitcode'], -9)
        self.assertSame(*lives)
        self.assertQuiet()

    @time_limit(120)
    def test_a_descriptor_of_each_that_lives_is_in_systemds_hands(self):
        one, other = self.waiting(1), self.waiting(2)
        wait_until(lambda: self.show('NFileDescriptorStore') == '2', message=lambda: self.show('NFileDescriptorStore'))
        self.ok('kill', '-USR1', one[1])
        self.code_of(one[0])
        wait_until(lambda: self.show('NFileDescriptorStore') == '1', message=lambda: self.show('NFileDescriptorStore'))
        self.systemctl('restart', 'procd')
        self.assertEqual(self.show('NFileDescriptorStore'), '1')
        self.ok('kill', '-USR1', other[1])
        self.code_of(other[0])
        wait_until(lambda: self.show('NFileDescriptorStore') == '0', message=lambda: self.show('NFileDescriptorStore'))

    @time_limit(120)
    def test_a_reload_is_another_program_in_the_same_process(self):
        identity, pid = self.waiting(42)
        main = self.main_pid()
        # A reload executes the program that is there now, whatever became of the one that runs.
        self.ok('sh', '-c', 'cp /usr/local/bin/procd /usr/local/bin/procd.new && mv /usr/local/bin/procd.new /usr/local/bin/procd')
        self.assertTrue(self.ok('readlink', f'/proc/{main}/exe').out.strip().endswith('(deleted)'))
        self.systemctl('reload', 'procd')
        self.assertEqual(self.main_pid(), main)
        self.assertTrue(self.is_up())
        self.assertEqual(self.ok('readlink', f'/proc/{main}/exe').out.strip(), '/usr/local/bin/procd')
        self.assertKnown(identity, pid, 42)
        self.assertGreater(self.spawn('sleep', '1000')[0], identity)
        self.assertQuiet()

    @time_limit(120)
    def test_a_restart_of_one_that_hangs_is_none_for_the_processes_either(self):
        # It does not heed the signal by which a restart asks it to leave, so it is killed.
        self.drop_in('[Service]\nTimeoutStopSec=1\nRestartKillSignal=SIGCONT\n')
        identity, pid = self.waiting(42)
        main = self.main_pid()
        self.systemctl('restart', 'procd')
        self.assertNotIn(self.main_pid(), (0, main))
        self.assertIn('timed out', self.log())
        self.assertKnown(identity, pid, 42)

    @time_limit(120)
    def test_a_stop_leaves_nothing_of_those_taken_back_either(self):
        self.drop_in('[Service]\nExecStart=\n'
                     'ExecStart=/usr/local/bin/procd --cgroup ../procd-processes.service --drain 0 --grace 1\n')
        self.systemctl('restart', 'procd')
        hidden = self.hidden()
        self.systemctl('restart', 'procd')
        self.back(self.crash())
        self.assertTrue(self.lives(hidden))
        self.systemctl('stop', 'procd')
        self.assertNothingLeft(hidden)
        for unit in ('procd.service', 'procd-processes.service'):
            self.assertEqual(self.show('Result', unit), 'success', self.log())
        # And the next one knows that they have ended: it has nobody to look for.
        self.systemctl('start', 'procd')
        self.assertEqual([p for p in self.procctl('list', '--json').json['processes'] if p['alive']], [])


class System(Survival, ServiceTest):
    pass


class User(Survival, ServiceTest):
    user = 'alice'
