"""procctl run as a job of a shell: signals, ^Z, pipelines, the background."""

import os
import signal

from harness import ProcdTest, Watched, assert_stays, lives, process_state, time_limit, wait_until
from terminal import Terminal


class RunTest(ProcdTest):
    def shell(self, **options):
        """bash with job control on a terminal, at its prompt."""
        env = self.procd.environment({'PS1': 'READY> ', 'TERM': 'xterm', 'HISTFILE': None, 'PROMPT_COMMAND': None})
        terminal = Terminal(['bash', '--norc', '--noprofile', '-i'], env, cwd=self.dir, **options)
        self.addCleanup(terminal.close)
        terminal.expect('READY> ')
        return terminal

    def await_states(self, pids, states):
        wait_until(lambda: all(process_state(p) in states for p in pids), 10, lambda: f'{states}: {[(p, process_state(p)) for p in pids]}')

    def running(self, **options):
        """`procctl run` of two processes that sleep: procctl and their pids."""
        run = self.procd.popen_ctl('run', '--', 'sh', '-c', 'sleep 1000 & echo $$ $!; wait', **options)
        return run, [int(n) for n in self.line(run.stdout).split()]


class Signals(RunTest):
    def test_each_is_forwarded(self):
        for name in ('INT', 'TERM', 'HUP', 'QUIT', 'USR1', 'USR2', 'WINCH'):
            run = self.procd.popen_ctl('run', '--', 'sh', '-c', f'trap "echo got; exit 9" {name}; echo ready; while :; do sleep 0.02; done')
            self.assertEqual(self.line(run.stdout), 'ready')
            run.send_signal(getattr(signal, 'SIG' + name))
            self.assertEqual(self.line(run.stdout), 'got', name)
            self.assertEqual(run.wait(20), 9)

    def test_those_of_a_terminal_reach_the_tree(self):
        for name in ('INT', 'QUIT', 'WINCH'):
            run = self.procd.popen_ctl('run', '--', 'sh', '-c', f'''sh -c 'trap "echo inner; exit 3" {name}; echo ready; while :; do sleep 0.02; done'; exit 4''')
            self.assertEqual(self.line(run.stdout), 'ready')
            run.send_signal(getattr(signal, 'SIG' + name))
            if name == 'WINCH':
                self.assertEqual(self.line(run.stdout), 'inner')
                self.assertEqual(run.wait(20), 4)
            else:
                self.assertEqual(run.wait(20), 128 + getattr(signal, 'SIG' + name))

    def test_what_the_caller_ignores_is_not_forwarded(self):
        # A shell without job control starts what it puts into the background so, and nohup for SIGHUP.
        outcome = self.procd.sh('''
            procctl run -- sh -c 'echo $$ > pid; exec sleep 1000' &
            run=$!
            until test -s pid; do sleep 0.02; done
            kill -INT $run; kill -QUIT $run
            sleep 0.3; kill -0 $(cat pid) && echo alive
            kill $run; wait $run; echo $?''', cwd=self.dir)
        self.assertEqual(outcome.out, 'alive\n143\n')

    def test_nohup(self):
        run = self.procd.popen('nohup', 'procctl', 'run', '--', 'sh', '-c', 'echo $$; exec sleep 1000')
        pid = int(self.line(run.stdout))
        run.send_signal(signal.SIGHUP)
        assert_stays(lambda: lives(pid) and run.poll() is None, 0.3)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(20), 143)


class Stopping(RunTest):
    def test_stopped_and_continued(self):
        terminal = self.shell()
        terminal.send("procctl run -- sh -c 'sleep 1000 & echo pids $$ $!.; wait'\n")
        pids = [int(n) for n in terminal.expect(r'pids (\d+) (\d+)\.').groups()]
        for resume in ('fg', 'fg'):
            terminal.send('\x1a')
            terminal.expect(r'\[1\]\+ +Stopped')
            terminal.expect('READY> ')
            self.await_states(pids, 'T')
            terminal.send(resume + '\n')
            self.await_states(pids, 'SR')
        terminal.send('\x03')
        terminal.expect('READY> ')
        terminal.send('echo status $?.\n')
        terminal.expect(r'status 130\.')
        for pid in pids:
            self.assertGone(pid)

    def test_on_in_the_background(self):
        terminal = self.shell()
        terminal.send("procctl run -- sh -c 'echo pid $$.; exec sleep 1000'\n")
        pid = int(terminal.expect(r'pid (\d+)\.').group(1))
        terminal.send('\x1a')
        terminal.expect('Stopped')
        terminal.expect('READY> ')
        self.await_states([pid], 'T')
        terminal.send('bg\n')
        self.await_states([pid], 'SR')
        terminal.send('kill %1; wait %1; echo status $?.\n')
        terminal.expect(r'status 143\.')
        self.assertGone(pid)

    def test_who_catches_it_is_told_first(self):
        terminal = self.shell()
        terminal.send("procctl run -- bash -c 'trap \"echo hand''led\" TSTP; trap \"echo resu''med\" CONT; echo pid $$.; while :; do sleep 0.01; done'\n")
        pid = int(terminal.expect(r'pid (\d+)\.').group(1))
        terminal.send('\x1a')
        terminal.expect('handled')
        terminal.expect('Stopped')
        self.await_states([pid], 'T')
        terminal.send('fg\n')
        terminal.expect('resumed')
        terminal.send('\x1a')
        terminal.expect('handled')
        terminal.expect('Stopped')
        terminal.send('kill -9 %1\n')
        self.assertGone(pid)

    def test_one_that_stops_itself(self):
        terminal = self.shell()
        terminal.send("procctl run -- sh -c 'kill -STOP $$; echo went on; kill -STOP $$; exit 6'\n")
        terminal.expect(r'\[1\]\+ +Stopped')
        terminal.send('fg\n')
        terminal.expect('\nwent on')
        terminal.expect(r'\[1\]\+ +Stopped')
        terminal.send('fg\n')
        terminal.expect('READY> ')
        terminal.send('echo status $?.\n')
        terminal.expect(r'status 6\.')

    def test_one_that_stops_itself_where_no_shell_looks(self):
        terminal = Terminal(['procctl', 'run', '--', 'sh', '-c', 'echo $$.; kill -STOP $$; echo went on'], self.procd.environment())
        self.addCleanup(terminal.close)
        pid = int(terminal.expect(r'(\d+)\.').group(1))
        self.await_states([pid], 'T')
        assert_stays(lambda: process_state(pid) == 'T' and process_state(terminal.pid) in 'SR', 0.8)
        os.kill(pid, signal.SIGCONT)
        terminal.expect('went on')
        self.assertEqual(terminal.wait(), 0)

    def test_where_nobody_could_continue_it(self):
        run = self.procd.popen_ctl('run', '--', 'bash', '-c', 'trap "echo resumed" CONT; echo ready; while :; do sleep 0.01; done', start_new_session=True)
        self.assertEqual(self.line(run.stdout), 'ready')
        run.send_signal(signal.SIGTSTP)
        self.assertEqual(self.line(run.stdout), 'resumed')
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(20), 143)

    def test_many_in_a_row(self):
        run, pids = self.running(start_new_session=True)
        for _ in range(20):
            run.send_signal(signal.SIGTSTP)
            run.send_signal(signal.SIGCONT)
        self.await_states(pids, 'SR')
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(20), 143)

    def test_killed_while_stopped(self):
        terminal = self.shell()
        terminal.send("procctl run -- sh -c 'echo pid $$.; sleep 1000'\n")
        pid = int(terminal.expect(r'pid (\d+)\.').group(1))
        terminal.send('\x1a')
        terminal.expect('Stopped')
        terminal.send('kill -9 %1\n')
        self.assertGone(pid)

    def test_ended_while_stopped(self):
        terminal = self.shell()
        terminal.send("procctl run -- sh -c 'echo pid $$.; sleep 1000'\n")
        pid = int(terminal.expect(r'pid (\d+)\.').group(1))
        terminal.send('\x1a')
        terminal.expect('Stopped')
        self.ok('kill', '--wait', self.procd.list()[0]['id'])
        terminal.send('fg\n')
        terminal.expect('READY> ')
        terminal.send('echo status $?.\n')
        terminal.expect(r'status 137\.')
        self.assertGone(pid)


class Background(RunTest):
    def test_what_is_typed_is_the_shells(self):
        terminal = self.shell()
        terminal.send("procctl run -- sh -c 'readlink /proc/$$/fd/0; cat; test -t 1 && echo e''nd.' & \n")
        terminal.expect('/dev/null')
        terminal.expect(r'end\.')
        terminal.send('echo still $((6 * 7)).\n')
        terminal.expect(r'still 42\.')

    def test_its_terminal_stays_one_in_the_foreground(self):
        terminal = self.shell()
        terminal.send("procctl run -- sh -c 'test -t 0 && echo a terminal''.'\n")
        terminal.expect(r'a terminal\.')


class Pipelines(RunTest):
    def test_a_writer_whose_reader_ends(self):
        outcome = self.procd.sh('yes | procctl run -- head -1; echo "${PIPESTATUS[@]}"')
        self.assertEqual(outcome.out, 'y\n141 0\n')

    def test_a_reader_who_ends(self):
        outcome = self.procd.sh('procctl run -- yes | head -1; echo "${PIPESTATUS[@]}"')
        self.assertEqual(outcome.out, 'y\n141 0\n')
        self.assertEqual(outcome.err, '')

    def test_exit_status(self):
        outcome = self.procd.sh("procctl run -- sh -c 'exit 3' | cat; echo ${PIPESTATUS[0]}; set -o pipefail; procctl run -- sh -c 'exit 3' | cat; echo $?")
        self.assertEqual(outcome.out, '3\n3\n')

    def test_every_byte(self):
        with open(self.path('data'), 'wb') as f:
            f.write(os.urandom(1 << 20) * 16)
        outcome = self.procd.sh('procctl run -- cat < data | wc -c; procctl run -- cat < data | procctl run -- cmp - data; echo $?', cwd=self.dir)
        self.assertEqual(outcome.out.split(), [str(16 << 20), '0'])

    def test_closing_stdin_is_seen_by_the_writer(self):
        reader, writer = os.pipe()
        run = self.procd.popen_ctl('run', '--', 'sh', '-c', 'exec <&-; echo closed; exec sleep 1000', stdin=reader)
        os.close(reader)
        self.assertEqual(self.line(run.stdout), 'closed')

        def refused():
            try:
                os.write(writer, b'y')
            except BrokenPipeError:
                return True
        wait_until(refused, 10, 'nobody has the other end')
        os.close(writer)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(20), 143)

    def test_closing_stdout_is_seen_by_the_reader(self):
        reader, writer = os.pipe()
        run = self.procd.popen_ctl('run', '--', 'sh', '-c', 'echo all; exec >&-; exec sleep 1000', stdout=writer)
        os.close(writer)
        with os.fdopen(reader) as stream:
            self.assertEqual(stream.read(), 'all\n')
        self.assertIsNone(run.poll())
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(20), 143)

    @time_limit(300)
    def test_a_gigabyte(self):
        outcome = self.procd.sh('head -c 1000000000 /dev/zero | procctl run -- cat | wc -c', timeout=250)
        self.assertEqual(outcome.out.strip(), '1000000000')


class WhoGoes(RunTest):
    def test_the_tree_goes_with_procctl(self):
        run, pids = self.running()
        with Watched(pids[0]) as main, Watched(pids[1]) as other:
            run.kill()
            main.await_end(5)
            other.await_end(5)

    def test_procd_dies(self):
        run, pids = self.running()
        self.procd.die()
        self.assertEqual(run.wait(20), 125)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.assertIn('procd', run.stderr.read().decode())
