"""procctl run --pty: a terminal of its own."""

import os
import select
import signal
import subprocess
import termios
import time

from harness import ProcdTest, Watched, assert_stays, lives, process_state, read_text, wait_until
from terminal import Terminal

FATAL = {'SIGTERM': 143, 'SIGHUP': 129, 'SIGINT': 130, 'SIGQUIT': 131, 'SIGUSR1': 138}


class PtyTest(ProcdTest):
    def terminal(self, *argv, **options):
        env = self.procd.environment({'PS1': 'READY> ', 'TERM': 'xterm', 'HISTFILE': None, 'PROMPT_COMMAND': None})
        terminal = Terminal(list(argv), env, cwd=self.dir, **options)
        self.addCleanup(terminal.close)
        return terminal

    def run_t(self, *argv, **options):
        return self.terminal('procctl', 'run', '-t', '--', *argv, **options)

    def shell(self, *argv, **options):
        terminal = self.terminal(*argv, 'bash', '--norc', '--noprofile', '-i', **options)
        terminal.expect('READY> ')
        return terminal


class Terminals(PtyTest):
    def test_it_is_the_controlling_terminal_of_all_three_streams(self):
        terminal = self.run_t('sh', '-c', 'test -t 0 && test -t 1 && test -t 2 && echo all; tty; readlink /proc/$$/fd/0; echo through > /dev/tty; '
                              'ps -o tty=,pgid=,tpgid=,sid=,pid= -p $$; exit 5')
        self.assertEqual(terminal.wait(), 5)
        lines = terminal.shown().split('\n')
        self.assertEqual(lines[0], 'all')
        self.assertEqual(lines[1], lines[2])
        self.assertTrue(lines[1].startswith('/dev/pts/'))
        self.assertNotEqual(lines[1], terminal.name)
        self.assertEqual(lines[3], 'through')
        tty, *numbers = lines[4].split()
        self.assertEqual('/dev/' + tty, lines[1])
        self.assertEqual(len(set(numbers)), 1, 'it leads its session and is in the foreground')

    def test_exit_status(self):
        for script, status in (('exit 0', 0), ('exit 7', 7), ('kill -TERM $$', 143), ('kill -KILL $$', 137)):
            self.assertEqual(self.run_t('sh', '-c', script).wait(), status)

    def test_size_at_the_start_and_when_it_changes(self):
        terminal = self.run_t('bash', '-c', 'trap "stty size; exit" WINCH; stty size; while :; do sleep 0.01; done', rows=33, columns=101)
        terminal.expect('33 101\r\n')
        terminal.resize(50, 132)
        terminal.expect('50 132\r\n')
        self.assertEqual(terminal.wait(), 0)

    def test_a_storm_of_sizes(self):
        terminal = self.run_t('bash', '-c', 'echo ready; read -r; stty size')
        terminal.expect('ready')
        for n in range(500):
            terminal.resize(10 + n % 50, 20 + n % 170)
        terminal.resize(41, 97)
        time_before_size_is_seen = time.monotonic()
        pts = [os.readlink(f'/proc/{p}/fd/0') for p in [self.procd.list()[0]['pid']]][0]
        fd = os.open(pts, os.O_RDONLY | os.O_NOCTTY)
        try:
            wait_until(lambda: termios.tcgetwinsize(fd) == (41, 97), 10, lambda: termios.tcgetwinsize(fd))
        finally:
            os.close(fd)
        self.assertLess(time.monotonic() - time_before_size_is_seen, 10)
        terminal.send('\r')
        terminal.expect('41 97')
        self.assertEqual(terminal.wait(), 0)

    def test_settings_are_the_callers(self):
        terminal = self.shell()
        terminal.send("stty erase '^H' intr '^T'; procctl run -t stty -a\n")
        terminal.expect(r'intr = \^T;')
        terminal.expect(r'erase = \^H;')

    def test_nobodys_terminal(self):
        out = self.ctl('run', '-t', '--', 'sh', '-c', 'tty && stty size', stdin=None).out
        self.assertRegex(out, r'^/dev/pts/\d+\r\n24 80\r\n$')

    def test_streams_that_are_named_stay_so(self):
        self.assertEqual(self.ctl('run', '-t', '--stderr', 'err', '--cwd', self.dir, '--', 'sh', '-c', 'echo e >&2; tty >/dev/null && echo out').out, 'out\r\n')
        self.assertEqual(read_text(self.path('err')), 'e\n')

    def test_of_another_session(self):
        # Whose terminal it is stays so: another session does not take it.
        terminal = self.shell()
        terminal.send('echo $$.\n')
        with self.client() as client:
            slave = os.open(terminal.name, os.O_RDWR | os.O_NOCTTY)
            error = client.error('spawn', [slave], command=['/bin/true'], terminal=0)
            self.assertError(error, 'exec_failed')
            self.assertEqual((error.data['stage'], error.data['errno']), ('controlling terminal', 1))
            os.close(slave)
            with open('/dev/null') as null:
                error = client.error('spawn', [null.fileno()], command=['/bin/true'], terminal=0)
            self.assertEqual((error.data['stage'], error.data['errno']), ('controlling terminal', 25))
        terminal.send('echo still $((6 * 7)).\n')
        terminal.expect(r'still 42\.')


class Modes(PtyTest):
    def raw_one(self, *argv):
        """A terminal on which something runs, in raw mode, and how it was before."""
        terminal = self.shell()
        terminal.send('stty -a > before; echo $((1 + 1))before.\n')
        terminal.expect(r'2before\.')
        terminal.send("procctl run -t -- sh -c 'echo run''ning $$.; " + (argv[0] if argv else 'exec sleep 1000') + "'\n")
        pid = int(terminal.expect(r'running (\d+)\.').group(1))
        terminal.await_raw()
        return terminal, pid

    def assertRestored(self, terminal, status):
        terminal.expect('READY> ')
        terminal.send('echo status $?.; stty -a > after; echo $((1 + 1))after.\n')
        terminal.expect(rf'status {status}\.')
        terminal.expect(r'2after\.')
        self.assertEqual(read_text(self.path('after')), read_text(self.path('before')))

    def procctl_of(self, terminal):
        return terminal.foreground()

    def test_after_the_end(self):
        terminal, _ = self.raw_one('read x; exit 4')
        terminal.send('\r')
        self.assertRestored(terminal, 4)

    def test_after_ctrl_c(self):
        terminal, pid = self.raw_one()
        terminal.send('\x03')
        self.assertRestored(terminal, 130)
        self.assertGone(pid)

    def test_after_its_sigkill(self):
        terminal, pid = self.raw_one()
        os.kill(pid, signal.SIGKILL)
        self.assertRestored(terminal, 137)

    def test_after_signals_to_procctl(self):
        for name, status in FATAL.items():
            with self.subTest(name):
                terminal, pid = self.raw_one()
                os.kill(self.procctl_of(terminal), getattr(signal, name))
                self.assertRestored(terminal, status)
                self.assertGone(pid)

    def test_after_procds_end(self):
        terminal, pid = self.raw_one()
        self.procd.die()
        terminal.expect('procctl: ')
        self.assertRestored(terminal, 125)
        self.assertGone(pid)  # its terminal was hung up

    def test_after_an_exec_that_fails(self):
        terminal = self.shell()
        before = terminal.modes()
        terminal.send('procctl run -t /nonexistent; echo status $?.\n')
        terminal.expect(r'status 127\.')
        terminal.expect('READY> ')
        wait_until(lambda: terminal.modes() == before)

    def test_after_the_time_is_over(self):
        terminal = self.terminal('procctl', 'run', '--timeout', '0.5', '-t', 'sleep', '1000')
        before = terminal.modes()
        self.assertEqual(terminal.wait(), 124)
        self.assertEqual(terminal.modes(), before)

    def test_at_any_moment(self):
        reference = self.terminal('sleep', '1000').modes()
        for step in range(24):
            name = ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT')[step % 4]
            terminal = self.run_t('sh', '-c', 'while :; do echo $$; done')
            time.sleep(step * 0.002)
            os.kill(terminal.pid, getattr(signal, name))
            # Before it has asked for them it has its signals as everybody has them.
            self.assertIn(terminal.wait(), (FATAL[name], -getattr(signal, name)))
            self.assertEqual(terminal.modes(), reference, f'{name} after {2 * step} ms')
            terminal.close()

    def test_stopped_and_continued(self):
        terminal, pid = self.raw_one('while :; do stty size; sleep 0.05; done')
        procctl = self.procctl_of(terminal)
        for _ in range(3):
            os.kill(procctl, signal.SIGTSTP)
            terminal.expect('Stopped')
            terminal.expect('READY> ')
            self.assertFalse(terminal.is_raw())
            # D: a shell that waits in vfork for a child that was stopped before its exec.
            wait_until(lambda: process_state(pid) in ('T', 'D'))
            terminal.resize(55, 111)
            terminal.send('fg\n')
            terminal.await_raw()
            terminal.expect('55 111')
            terminal.resize(24, 80)
            terminal.expect('24 80')
        os.kill(pid, signal.SIGKILL)
        self.assertRestored(terminal, 137)

    def test_suspended_from_within(self):
        terminal, pid = self.raw_one('kill -STOP $$; echo went on; exec sleep 1000')
        terminal.expect('Stopped')
        terminal.expect('READY> ')
        terminal.send('fg\n')
        terminal.expect('\nwent on')
        terminal.await_raw()
        terminal.send('\x03')
        self.assertRestored(terminal, 130)

    def test_stopped_without_being_asked(self):
        terminal, pid = self.raw_one()
        procctl = self.procctl_of(terminal)
        os.kill(procctl, signal.SIGSTOP)
        terminal.expect('Stopped')
        terminal.expect('READY> ')
        terminal.await_raw(False)
        terminal.send('fg\n')
        terminal.await_raw()
        terminal.send('\x03')
        self.assertRestored(terminal, 130)

    def test_in_the_background(self):
        terminal = self.shell()
        terminal.send("procctl run -t -- sh -c 'echo run''ning $$.; read x; echo got $x.' &\n")
        pid = int(terminal.expect(r'running (\d+)\.').group(1))
        terminal.send('echo the shells $((6 * 7)).\n')
        terminal.expect(r'the shells 42\.')
        self.assertTrue(lives(pid))
        terminal.send('fg\n')
        terminal.await_raw()
        terminal.send('mine\r')
        terminal.expect(r'got mine\.')
        terminal.expect('READY> ')

    def test_the_window_is_closed(self):
        terminal = self.run_t('sh', '-c', 'echo $$.; exec sleep 1000')
        pid = int(terminal.expect(r'(\d+)\.').group(1))
        with Watched(pid) as watched:
            os.close(terminal.master)
            terminal.master = -1
            watched.await_end(5)
        wait_until(lambda: terminal.poll() is not None)


class JobControl(PtyTest):
    def inner(self):
        return self.shell('procctl', 'run', '-t', '--')

    def test_jobs_of_an_inner_shell(self):
        terminal = self.inner()
        terminal.send("sh -c 'echo be''gun; exec sleep 1000'\r")
        terminal.expect('begun\r\n')
        shell = self.procd.list()[0]['pid']

        def foreground_job():
            with open(f'/proc/{shell}/stat') as f:
                tpgid = int(f.read().rpartition(')')[2].split()[5])
            return tpgid != shell and tpgid
        job = wait_until(foreground_job)
        terminal.send('\x1a')
        terminal.expect(r'\[1\]\+ +Stopped +sh -c')
        terminal.expect('READY> ')
        wait_until(lambda: process_state(job) == 'T')
        terminal.send('bg\r')
        terminal.expect('READY> ')
        wait_until(lambda: process_state(job) == 'S')
        terminal.send('fg\r')
        wait_until(foreground_job)
        terminal.send('\x03')
        terminal.expect('READY> ')
        terminal.send('echo status $?.\r')
        terminal.expect(r'status 130\.')
        terminal.send('exit 3\r')
        self.assertEqual(terminal.wait(), 3)
        self.assertNotIn('no job control', terminal.shown())

    def test_end_of_file_ends_it(self):
        terminal = self.inner()
        terminal.send('\x04')
        self.assertEqual(terminal.wait(), 0)

    def test_one_in_the_other(self):
        terminal = self.inner()
        terminal.send("exec procctl run -t -- bash --norc --noprofile -i\r")
        terminal.expect('READY> ')
        terminal.send("tty; stty size; sh -c 'echo be''gun; exec sleep 1000'\r")
        terminal.expect('24 80')
        terminal.expect('begun\r\n')
        terminal.send('\x03')
        terminal.expect('READY> ')
        terminal.send('exit 9\r')
        self.assertEqual(terminal.wait(), 9)

    def test_two_at_once(self):
        first, second = self.inner(), self.inner()
        for terminal, word in ((first, 'one'), (second, 'two')):
            terminal.send(f'echo {word}$((1 + 1)); tty\r')
        names = []
        for terminal, word in ((first, 'one'), (second, 'two')):
            terminal.expect(word + '2')
            names.append(terminal.expect(r'/dev/pts/\d+').group())
        self.assertNotEqual(*names)
        first.send('exit 1\r')
        second.send('exit 2\r')
        self.assertEqual((first.wait(), second.wait()), (1, 2))

    def test_it_goes_with_procctl(self):
        terminal = self.inner()
        terminal.send("sh -c 'trap : HUP TERM; echo pid $$.; while :; do sleep 0.1; done' &\r")
        pid = int(terminal.expect(r'pid (\d+)\.').group(1))
        self.ok('status')
        os.kill(terminal.pid, signal.SIGKILL)
        shell = self.procd.list()[0]
        self.assertGone(shell['pid'])
        self.ok('kill', '--wait', shell['id'])
        self.assertGone(pid)

    def test_who_ignores_everything(self):
        terminal = self.terminal('procctl', 'run', '--grace', '0.2', '-t', 'sh', '-c', 'trap "" TERM HUP INT; echo $$.; while :; do sleep 0.1; done')
        pid = int(terminal.expect(r'(\d+)\.').group(1))
        before = terminal.pid
        os.kill(before, signal.SIGTERM)
        terminal.send('\x03')
        assert_stays(lambda: lives(pid) and terminal.poll() is None, 0.3)
        with Watched(pid) as watched:
            os.kill(before, signal.SIGKILL)
            watched.await_end(5)


class Bytes(PtyTest):
    def test_all_of_the_output(self):
        for _ in range(5):
            outcome = self.ctl('run', '-t', '--', 'seq', '100000')
            self.assertEqual(outcome.out, ''.join(f'{n}\r\n' for n in range(1, 100001)))

    def test_all_of_the_output_for_a_slow_reader(self):
        outcome = self.procd.sh('procctl run -t seq 100000 | (sleep 0.5; tr -d "\\r" | cksum); echo ${PIPESTATUS[0]}; seq 100000 | cksum')
        first, status, second = outcome.out.splitlines()
        self.assertEqual((first, status), (second, '0'))

    def test_all_of_the_output_on_a_terminal(self):
        terminal = self.run_t('sh', '-c', 'seq 20000; exit 3')
        self.assertEqual(terminal.wait(), 3)
        self.assertEqual(terminal.shown(), ''.join(f'{n}\n' for n in range(1, 20001)))

    def test_bytes_as_they_are(self):
        data = bytes(range(256)) * 64
        with open(self.path('sent'), 'wb') as f:
            f.write(data)
        terminal = self.run_t('sh', '-c', f'stty raw -echo; echo ready; head -c {len(data)} > got; cat sent')
        terminal.expect('ready\r?\n')
        terminal.send(data)
        self.assertEqual(terminal.wait(), 0)
        with open(self.path('got'), 'rb') as f:
            self.assertEqual(f.read(), data)
        self.assertEqual(terminal.seen[terminal.taken:], data)

    def test_a_reader_who_ends(self):
        outcome = self.procd.sh('procctl run -t yes | head -1; echo "${PIPESTATUS[@]}"')
        self.assertEqual(outcome.out.replace('\r', ''), 'y\n129 0\n')

    def test_stdout_is_full(self):
        outcome = self.procd.sh('procctl run -t seq 100000 > /dev/full; echo $?')
        self.assertIn('cannot write to stdout: No space left on device', outcome.err)
        self.assertIn(outcome.out, ('129\n', '1\n'))

    def test_a_big_paste_for_one_who_reads(self):
        terminal = self.run_t('sh', '-c', 'stty -echo; echo ready; sed "/^end/q" | cksum')
        terminal.expect('ready')
        text = ''.join(f'line {n}\n' for n in range(100000)) + 'end\n'
        terminal.send(text.replace('\n', '\r'))
        self.assertEqual(terminal.wait(), 0)
        expected = subprocess.run(['cksum'], input=text.encode(), capture_output=True).stdout.decode()
        self.assertIn(expected.strip(), terminal.shown())

    def test_a_big_paste_for_one_who_does_not_read(self):
        terminal = self.run_t('sh', '-c', 'stty raw -echo; echo ready; exec sleep 1000')
        terminal.expect('ready')
        terminal.await_raw()
        os.set_blocking(terminal.master, False)
        sent = 0
        while select.select([], [terminal.master], [], 1)[1]:
            sent += os.write(terminal.master, b'x' * 65536)
        self.assertGreater(sent, 65536)
        terminal.resize(30, 90)
        os.kill(terminal.pid, signal.SIGTERM)
        self.assertEqual(terminal.wait(), 143)

    def test_nobody_reads_the_output(self):
        # procctl cannot get rid of it, and still does what it is told.
        run = self.procd.popen_ctl('run', '-t', 'sh', '-c', 'echo $$ > pid; exec yes', cwd=self.dir)
        wait_until(lambda: read_text(self.path('pid')).endswith('\n'))
        pid = int(read_text(self.path('pid')))
        wait_until(lambda: process_state(pid) == 'S')
        run.send_signal(signal.SIGTERM)
        self.assertGone(pid)
        self.assertEqual(run.wait(20), 143)

    def test_nobody_reads_the_last_output(self):
        run = self.procd.popen_ctl('run', '-t', 'sh', '-c', 'head -c 100000 /dev/zero; echo $$ > pid; exit 6', cwd=self.dir)
        wait_until(lambda: read_text(self.path('pid')).endswith('\n'))
        self.procd.await_state(self.procd.list()[0]['id'])
        assert_stays(lambda: run.poll() is None, 0.3)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(20), 6)

    def test_stopped_while_output_comes(self):
        run = self.procd.popen_ctl('run', '-t', 'sh', '-c', 'seq 30000; exit 2')
        first = self.line(run.stdout)
        run.send_signal(signal.SIGSTOP)
        wait_until(lambda: process_state(run.pid) == 'T')
        time.sleep(0.3)
        run.send_signal(signal.SIGCONT)
        rest = run.stdout.read().decode()
        self.assertEqual((first + '\n' + rest).replace('\r', ''), ''.join(f'{n}\n' for n in range(1, 30001)))
        self.assertEqual(run.wait(20), 2)


class EndOfInput(PtyTest):
    def check(self, script, expected, stdin=None):
        outcome = self.ctl('run', '-t', '--', 'sh', '-c', script, stdin=stdin, timeout=20)
        self.assertEqual((outcome.out.replace('\r', ''), outcome.code, outcome.err), (expected, 0, ''))

    def test_nothing(self):
        self.check('cat; echo end', 'end\n')

    def test_lines(self):
        self.check('cat; echo end', 'one\ntwo\nend\n', b'one\ntwo\n')

    def test_no_newline_at_the_end(self):
        self.check('cat; echo .end', 'one\ntwo.end\n', b'one\ntwo')

    def test_again_and_again(self):
        self.check('cat; echo 1; cat; echo 2; read x; echo 3; cat', 'one\n1\n2\n3\n', b'one\n')

    def test_many_lines(self):
        text = ''.join(f'{n}\n' for n in range(50000)).encode()
        self.check('wc -l; echo end', '50000\nend\n', text)

    def test_an_inner_shell_takes_its_commands_from_it(self):
        outcome = self.ctl('run', '-t', '--env', 'PS1=', '--', 'bash', '--norc', '--noprofile', stdin=b'echo $((6 * 7))\ntty | cut -c 1-9\n')
        self.assertCode(outcome, 0)
        self.assertIn('42', outcome.out)
        self.assertIn('/dev/pts/', outcome.out)

    def test_closed_streams(self):
        outcome = self.procd.sh('procctl run -t sh -c "cat; exit 4" <&-; echo $?; procctl run -t sh -c "seq 100000; exit 5" >&-; echo $?')
        self.assertEqual(outcome.out, '4\n5\n')

    def test_one_who_does_not_read(self):
        self.check('sleep 0.3; echo end', 'end\n', b'x\n' * 100000)
