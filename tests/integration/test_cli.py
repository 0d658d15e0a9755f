"""procctl: what each verb prints, and with which status it ends."""

import json
import os
import select
import signal
import socket
import time

from harness import PROCD_BIN, Client, ProcdTest, Watched, assert_stays, lives, read_text, wait_for_file, wait_until


class Spawning(ProcdTest):
    def test_stdout_is_the_id_and_stderr_one_sentence(self):
        outcome = self.ok('spawn', '--name', 'foo', '--daemon', '--', 'sleep', '1000')
        self.assertRegex(outcome.out, r'\A\d+\n\Z')
        process = self.procd.status(int(outcome.out))
        self.assertEqual((process['name'], process['daemon'], process['owner']['kind']), ('foo', True, 'procd'))
        self.assertEqual(len(outcome.err.splitlines()), 1, outcome)
        self.assertRegex(outcome.err, rf'^foo: pid {process["pid"]}\b.*daemon.*procd')

    def test_quiet(self):
        outcome = self.ok('spawn', '-q', '--', 'true')
        self.assertRegex(outcome.out, r'\A\d+\n\Z')
        self.assertEqual(outcome.err, '')

    def test_options_end_at_the_command(self):
        out = self.path('out')
        identity = self.spawned('--name', 'n', 'sh', '-c', 'echo "$0 $*" > ' + out, '--name', 'other', '-q', '--daemon', '--', 'x')
        self.assertEqual(wait_for_file(out), '--name other -q --daemon -- x\n')
        self.assertEqual(self.procd.status(identity)['name'], 'n')

    def test_default_owner_and_flag(self):
        process = self.procd.status(self.spawned('--', 'sleep', '1000'))
        self.assertEqual((process['owner']['kind'], process['daemon']), ('procd', False))

    def test_json_is_the_process(self):
        process = self.ok('spawn', '--json', '--', 'sleep', '1000').json
        self.assertEqual((process['state'], process['command']), ('running', ['sleep', '1000']))

    def test_create_and_start(self):
        outcome = self.ok('create', '--name', 'late', '--', 'sh', '-c', 'exit 7')
        self.assertRegex(outcome.out, r'\A\d+\n\Z')
        self.assertEqual(self.procd.status('late')['state'], 'initial')
        self.ok('start', 'late')
        self.assertCode(self.ctl('wait', 'late'), 7)

    def test_command_that_cannot_be_executed(self):
        for verb in ('spawn', 'run', 'session'):
            outcome = self.ctl(verb, '--', '/nonexistent/command')
            self.assertCode(outcome, 127)
            self.assertEqual(outcome.out, '')
            self.assertIn('/nonexistent/command', outcome.err)
            outcome = self.ctl(verb, '--', '/etc')
            self.assertCode(outcome, 126)
            self.assertEqual(outcome.out, '')
        self.assertEqual(self.procd.list(), [], 'a failed spawn leaves no record')

    def test_failed_start_leaves_a_record(self):
        identity = self.ok('create', '-q', '--', '/nonexistent/command').out.strip()
        self.assertCode(self.ctl('start', identity), 127)
        process = self.procd.status(int(identity))
        self.assertEqual((process['state'], process['exitcode'], process['result']['how']), ('exited', 127, 'exec_failed'))

    def test_owner_option(self):
        other = self.procd.popen('sleep', '1000').pid
        identity = self.spawned('--owner', f'pid:{other}', '--', 'sleep', '1000')
        owner = self.procd.status(identity)['owner']
        self.assertEqual((owner['kind'], owner['pid']), ('pid', other))
        identity = self.spawned('--', 'sleep', '1000', env={'PROCD_OWNER': f'pid:{other}'})
        self.assertEqual(self.procd.status(identity)['owner']['kind'], 'pid')
        identity = self.spawned('--owner', 'procd', '--', 'sleep', '1000', env={'PROCD_OWNER': f'pid:{other}'})
        self.assertEqual(self.procd.status(identity)['owner']['kind'], 'procd')


class Asking(ProcdTest):
    def test_alive(self):
        identity = self.spawned('--', 'sleep', '1000')
        outcome = self.ctl('alive', identity)
        self.assertEqual((outcome.out, outcome.code), ('true\n', 0))
        self.assertCode(self.ctl('status', identity), 0)
        self.ok('kill', identity)
        self.assertCode(self.ctl('wait', identity), 137)
        outcome = self.ctl('alive', identity)
        self.assertEqual((outcome.out, outcome.code), ('false\n', 3))
        self.assertCode(self.ctl('status', identity), 3)

    def test_unknown(self):
        for verb in ('alive', 'status', 'pid', 'exitcode'):
            for selector in ('nobody', '99999'):
                outcome = self.ctl(verb, selector)
                self.assertCode(outcome, 4)
                self.assertEqual(outcome.out, '')
                self.assertIn(selector, outcome.err)
        for verb in ('wait', 'terminate', 'kill', 'interrupt', 'close', 'start'):
            outcome = self.ctl(verb, 'nobody')
            self.assertCode(outcome, 1)
            self.assertEqual(outcome.out, '')
            self.assertIn('nobody', outcome.err)

    def test_pid_and_exitcode(self):
        identity = self.spawned('--', 'sleep', '1000')
        self.assertEqual(self.ok('pid', identity).out, f'{self.procd.status(identity)["pid"]}\n')
        outcome = self.ctl('exitcode', identity)
        self.assertEqual((outcome.out, outcome.code), ('', 3))
        self.ok('terminate', '--wait', identity)
        self.assertEqual(self.ok('exitcode', identity).out, '-15\n')
        identity = self.spawned('--', 'sh', '-c', 'exit 9')
        self.assertCode(self.ctl('wait', identity), 9)
        self.assertEqual(self.ok('exitcode', identity).out, '9\n')

    def test_name(self):
        identity = self.spawned('--', 'sleep', '1000')
        self.assertEqual(self.ok('name', identity).out, 'Process-1\n')
        outcome = self.ok('name', identity, 'new name é')
        self.assertEqual(self.ok('name', identity).out, 'new name é\n')
        self.assertEqual(self.procd.status(identity)['name'], 'new name é')
        self.assertNotIn('Process-1', outcome.out)

    def test_set(self):
        identity = int(self.ok('create', '-q', '--', 'sleep', '1000').out)
        self.ok('set', identity, '--daemon')
        self.assertTrue(self.procd.status(identity)['daemon'])
        self.ok('set', identity, '--no-daemon')
        self.assertFalse(self.procd.status(identity)['daemon'])
        self.ok('set', identity, '--owner', f'pid:{self.procd.popen("sleep", "1000").pid}')
        self.assertEqual(self.procd.status(identity)['owner']['kind'], 'pid')

    def test_current(self):
        out = self.path('out')
        identity = self.spawned('--name', 'me', '--', 'sh', '-c',
                                f'echo "$(procctl current --name) $(procctl current --pid) $(procctl current --id) $$" > {out}')
        name, pid, number, shell = wait_for_file(out).split()
        self.assertEqual((name, pid, int(number)), ('me', shell, identity))
        outside = self.ctl('current', '--json').json
        self.assertEqual((outside['process'], outside['session']), (None, None))

    def test_current_in_a_session(self):
        outcome = self.ctl('session', '--', 'procctl', 'current', '--json')
        self.assertRegex(outcome.json['session'], r'^s\d+$')

    def test_info(self):
        text = self.ok('info').out
        self.assertIn(str(self.procd.pid), text)
        self.assertIn(self.kind(), text)
        self.assertEqual(self.ok('info', '--json').json['pid'], self.procd.pid)

    def test_events(self):
        events = self.procd.popen_ctl('events', '--json')
        # Whether it listens yet cannot be seen from outside; processes are made until one is reported.
        seen = []

        def report():
            self.spawned('--', 'true')
            while select.select([events.stdout], [], [], 0.05)[0]:
                seen.append(json.loads(self.line(events.stdout)))
            return any(event.get('type') == 'exited' for event in seen)
        wait_until(report)
        event = next(event for event in seen if event.get('type') == 'exited')
        self.assertEqual(event['process']['state'], 'exited')


class Ending(ProcdTest):
    def test_wait_is_the_exit_status(self):
        for script, status in (('exit 0', 0), ('exit 7', 7), ('exit 255', 255), ('kill -TERM $$', 143), ('kill -KILL $$', 137)):
            outcome = self.ctl('wait', self.spawned('--', 'sh', '-c', script))
            self.assertEqual((outcome.code, outcome.out), (status, ''), outcome)

    def test_wait_for_several(self):
        ids = [self.spawned('--', 'sh', '-c', f'exit {n}') for n in range(3)]
        outcome = self.ctl('wait', *ids)
        self.assertEqual((outcome.code, outcome.out), (0, ''), outcome)

    def test_wait_any(self):
        slow = self.spawned('--', 'sleep', '1000')
        fast = self.spawned('--', 'true')
        ended = self.ok('wait', '--any', '--json', slow, fast).json
        self.assertEqual([p['id'] for p in ended['processes']], [fast])

    def test_timeouts(self):
        identity = self.spawned('--', 'sh', '-c', 'trap "" TERM; while :; do sleep 0.05; done')
        for arguments in (['wait', '--timeout', '0.1'], ['wait', '--timeout', '0'], ['terminate', '--wait', '--timeout', '0.1']):
            outcome = self.ctl(*arguments, identity)
            self.assertCode(outcome, 124)
            self.assertLess(outcome.seconds, 5)
        self.assertTrue(self.ctl('wait', '--timeout', '0', '--json', identity).json['timed_out'])

    def test_aliases(self):
        identity = self.spawned('--', 'sleep', '1000')
        self.assertEqual(self.ok('ls', '--json').json['processes'][0]['id'], identity)
        self.ok('stop', '--wait', identity)
        self.assertCode(self.ctl('join', identity), 143)
        self.ok('rm', identity)
        self.assertEqual(self.procd.list(), [])

    def test_ending_the_ended_changes_nothing(self):
        identity = self.spawned('--', 'sh', '-c', 'exit 7')
        self.assertCode(self.ctl('wait', identity), 7)
        for verb in ('terminate', 'kill', 'interrupt'):
            self.ok(verb, identity)
        self.assertEqual(self.procd.status(identity)['exitcode'], 7)

    def test_terminate_with_grace(self):
        ready = self.path('ready')
        identity = self.spawned('--', 'sh', '-c', f'trap "" TERM; echo 1 > {ready}; while :; do sleep 0.05; done')
        wait_for_file(ready)
        outcome = self.ok('terminate', '--grace', '0.3', '--wait', identity)
        self.assertGreaterEqual(outcome.seconds, 0.3)
        self.assertEqual(self.ok('exitcode', identity).out, '-9\n')

    def test_terminate_several(self):
        ids = [self.spawned('--', 'sleep', '1000') for _ in range(3)]
        self.ok('terminate', '--wait', *ids)
        self.assertEqual({p['exitcode'] for p in self.procd.list()}, {-15})

    def test_one_unknown_fails_the_whole(self):
        identity = self.spawned('--', 'sleep', '1000')
        self.assertCode(self.ctl('terminate', '--wait', identity, 'nobody'), 1)
        self.assertTrue(self.procd.status(identity)['alive'])

    def test_signal(self):
        out = self.path('out')
        identity = self.spawned('--', 'sh', '-c', f'trap "echo usr1 >> {out}" USR1; echo ready >> {out}; while :; do sleep 0.02; done')
        wait_for_file(out)
        self.ok('signal', identity, 'USR1')
        wait_until(lambda: read_text(out) == 'ready\nusr1\n')
        self.ok('signal', identity, 'SIGUSR1')
        wait_until(lambda: read_text(out).count('usr1') == 2)
        self.ok('signal', identity, 'KILL')
        self.assertCode(self.ctl('wait', identity), 137)

    def test_signal_and_processes_told_apart(self):
        out = self.path('out')
        identity = self.spawned('--name', 'web', '--', 'sh', '-c', f'trap "echo hup >> {out}" HUP; echo ready >> {out}; while :; do sleep 0.02; done')
        wait_for_file(out)
        self.ok('signal', 'HUP', 'web')
        wait_until(lambda: read_text(out).count('hup') == 1)
        self.ok('signal', '1', 'web')
        wait_until(lambda: read_text(out).count('hup') == 2)
        self.ok('signal', 'SIGHUP', identity)
        wait_until(lambda: read_text(out).count('hup') == 3)
        # Of two numbers the last is the signal: a wrong one there never makes a signal of a process.
        for words, what in (((1, 99), '99'), ((identity, 0), '0'), (('web', 65), '65'), (('web', 'FOO'), 'FOO'),
                            (('web', 'db', 'FOO'), 'FOO')):
            outcome = self.ctl('signal', *words)
            self.assertCode(outcome, 2)
            self.assertEqual(outcome.err, f"procctl: '{what}' is no signal\n")
        self.assertEqual(read_text(out).count('hup'), 3)

    def test_close(self):
        identity = self.spawned('--', 'sleep', '1000')
        outcome = self.ctl('close', identity)
        self.assertCode(outcome, 1)
        self.assertIn('Cannot close a process while it is still running', outcome.err)
        self.ok('kill', identity)
        self.ctl('wait', identity)
        self.ok('close', identity)
        self.assertCode(self.ctl('status', identity), 4)


class Running(ProcdTest):
    def test_exit_status(self):
        for script, status in (('exit 0', 0), ('exit 7', 7), ('exit 125', 125), ('kill -TERM $$', 143), ('kill -KILL $$', 137)):
            self.assertCode(self.ctl('run', '--', 'sh', '-c', script), status)

    def test_stdio(self):
        outcome = self.ctl('run', '--', 'sh', '-c', 'cat; echo err >&2', stdin=b'in\0put\n')
        self.assertEqual((outcome.out, outcome.err), ('in\0put\n', 'err\n'))

    def test_signals_are_forwarded(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            run = self.procd.popen_ctl('run', '--', 'sh', '-c', f'trap "echo got; exit 9" {int(number)}; echo ready; while :; do sleep 0.02; done')
            self.assertEqual(self.line(run.stdout), 'ready')
            run.send_signal(number)
            self.assertEqual(self.line(run.stdout), 'got')
            self.assertEqual(run.wait(20), 9)

    def test_a_daemon_of_its_connection(self):
        run = self.procd.popen_ctl('run', '--', 'sh', '-c', 'echo $$; exec sleep 1000')
        with Watched(int(self.line(run.stdout))) as watched:
            process, = self.procd.list()
            self.assertEqual((process['daemon'], process['owner']['kind']), (True, 'connection'))
            run.kill()
            watched.await_end(5)
        self.assertEqual(self.procd.await_state(process['id'])['result']['cause'], 'owner')

    def test_no_daemon_runs_on(self):
        run = self.procd.popen_ctl('run', '--no-daemon', '--', 'sh', '-c', 'echo $$; exec sleep 1000')
        pid = int(self.line(run.stdout))
        run.kill()
        run.wait()
        assert_stays(lambda: lives(pid), 0.3)
        self.assertEqual(self.procd.list()[0]['owner']['kind'], 'procd')

    def test_name(self):
        self.assertCode(self.ctl('run', '--name', 'foreground', '--', 'sh', '-c', 'test "$PROCD_NAME" = foreground'), 0)


class Sessions(ProcdTest):
    def test_exit_status(self):
        for script, status in (('exit 0', 0), ('exit 7', 7), ('kill -TERM $$', 143)):
            self.assertCode(self.ctl('session', '--', 'sh', '-c', script), status)

    def test_the_command_is_a_plain_child(self):
        session = self.procd.popen_ctl('session', '--', 'sh', '-c', 'echo $PPID $$; cat')
        parent, pid = map(int, self.line(session.stdout).split())
        self.assertEqual((parent, os.getpgid(pid), os.getsid(pid)), (session.pid, os.getpgid(session.pid), os.getsid(session.pid)))
        session.stdin.close()
        self.assertEqual(session.wait(20), 0)

    def test_stdin_is_the_commands(self):
        self.assertEqual(self.ctl('session', '--', 'cat', stdin=b'hello\n').out, 'hello\n')

    def test_timeout_bounds_the_wait(self):
        begin = time.monotonic()
        session = self.procd.popen_ctl('session', '--timeout', '0.3', '--', 'procctl', 'spawn', '-q', '--', 'sleep', '1000')
        # The command's own status or "timed out": either tells the user what happened.
        self.assertIn(session.wait(20), (0, 124))
        self.assertLess(time.monotonic() - begin, 5)
        process, = self.procd.list()
        self.assertEqual((process['alive'], process['owner']['kind']), (True, 'procd'))

    def test_fail_on_leak(self):
        outcome = self.ctl('session', '--fail-on-leak', '--', 'procctl', 'spawn', '-q', '--name', 'leaked', '--', 'sleep', '1000')
        self.assertCode(outcome, 1)
        process, = self.procd.list()
        self.assertFalse(process['alive'])
        for what in (process['id'], 'leaked', 'sleep 1000', process['pid']):
            self.assertIn(str(what), outcome.err)

    def test_fail_on_leak_names_plain_background_processes(self):
        pid_file = self.path('pid')
        outcome = self.ctl('session', '--fail-on-leak', '--', 'sh', '-c', f'sleep 1234 >/dev/null 2>&1 & echo $! > {pid_file}')
        self.assertCode(outcome, 1)
        pid = int(read_text(pid_file))
        self.assertIn(str(pid), outcome.err)
        self.assertIn('sleep', outcome.err)
        self.assertFalse(lives(pid))

    def test_fail_on_leak_keeps_the_commands_status(self):
        outcome = self.ctl('session', '--fail-on-leak', '--', 'sh', '-c', 'procctl spawn -q -- sleep 1000; exit 7')
        self.assertCode(outcome, 7)

    def test_fail_on_leak_without_leak(self):
        outcome = self.ctl('session', '--fail-on-leak', '--', 'sh', '-c', 'procctl spawn -q -- true; procctl wait')
        self.assertCode(outcome, 0)

    def test_second_interrupt_stops_the_wait(self):
        ready = self.path('ready')
        session = self.procd.popen_ctl('session', '--', 'sh', '-c', f'procctl spawn -q -- sleep 1000 >/dev/null; echo 1 > {ready}')
        wait_for_file(ready)
        process, = self.procd.list()
        # The command has ended once the shell is gone and only the client is left; then Ctrl-C is asked twice.
        children = f'/proc/{session.pid}/task/{session.pid}/children'
        wait_until(lambda: not read_text(children).strip())

        def interrupted():
            session.send_signal(signal.SIGINT)
            time.sleep(0.05)
            return session.poll() is not None
        wait_until(interrupted)
        self.assertEqual(session.returncode, 130)
        self.assertTrue(self.procd.status(process['id'])['alive'])
        self.assertEqual(self.procd.status(process['id'])['owner']['kind'], 'procd')

    def test_a_session_that_is_over_is_no_owner(self):
        outcome = self.ctl('spawn', '--', 'true', env={'PROCD_SESSION': 's999'})
        self.assertCode(outcome, 1)
        self.assertEqual(self.ctl('spawn', '--json', '--', 'true', env={'PROCD_SESSION': 's999'}).kind, 'owner_gone')
        self.assertEqual(self.procd.list(), [])


class Reaching(ProcdTest):
    def test_procd_out_of_reach(self):
        for verb in (['status'], ['spawn', '--', 'true'], ['info'], ['run', '--', 'true'], ['session', '--', 'true']):
            outcome = self.ctl(*verb, env={'PROCD_SOCKET': self.path('nobody.sock')})
            self.assertCode(outcome, 125)
            self.assertEqual(outcome.out, '')
            self.assertIn('procd', outcome.err)

    def test_nobody_behind_the_socket(self):
        path = self.path('stale.sock')
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        self.assertCode(self.ctl('status', env={'PROCD_SOCKET': path}), 125)

    def test_socket_option_goes_before_the_environment(self):
        self.assertEqual(self.ok('-s', self.procd.socket, 'info', '--json', env={'PROCD_SOCKET': '/nonexistent'}).json['pid'], self.procd.pid)

    def test_versions(self):
        self.assertRegex(self.ok('--version').out, r'\d+\.\d+')
        self.assertRegex(self.procd.run([PROCD_BIN, '--version']).out, r'\d+\.\d+')

    def test_gone_while_a_verb_waits(self):
        identity = self.spawned('--daemon', '--', 'sleep', '1000')
        waiting = self.procd.popen_ctl('wait', identity)
        with Client(self.procd.socket) as client:
            client.call('shutdown', now=True)
        # It may have heard of the end before procd went.
        self.assertIn(waiting.wait(20), (125, 137, 143))
        self.assertEqual(self.procd.await_exit(), 0)
