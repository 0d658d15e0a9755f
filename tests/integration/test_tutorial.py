"""The life of a process as Python's Process has it, told with procctl: create, name, pid, daemon, terminate, join."""

import json
import os
import pty
import re
import select
import signal
import time

from harness import (unsanitized, PYTHON, Client, ProcdTest, Watched, as_root, assert_stays, lives, parent_of, read_text,
                     time_limit, wait_for_file, wait_for_pid_file, wait_until)


def objects(text):
    """Every JSON object in a text, whatever stands between them."""
    decoder, found, at = json.JSONDecoder(), [], text.find('{')
    while at >= 0:
        value, end = decoder.raw_decode(text, at)
        found.append(value)
        at = text.find('{', end)
    return found


class Creating(ProcdTest):
    def test_create_without_a_command_is_a_usage_error(self):
        outcome = self.ctl('create', '--name', 'x')
        self.assertCode(outcome, 2)
        self.assertEqual(outcome.out, '')
        self.assertEqual(self.procd.list(), [])

    def test_empty_name_is_no_name(self):
        identity = int(self.ok('create', '-q', '--name', '', '--', 'true').out)
        self.assertRegex(self.procd.status(identity)['name'], r'^Process-\d+$')

    def test_names_are_not_unique(self):
        first = self.spawned('--name', 'x', '--', 'sleep', '1000')
        second = self.spawned('--name', 'x', '--', 'sleep', '1000')
        self.assertNotEqual(first, second)
        outcome = self.ctl('pid', 'x')
        self.assertCode(outcome, 1)
        self.assertEqual(outcome.out, '')
        self.assertIn(str(first), outcome.err)
        self.assertIn(str(second), outcome.err)
        self.assertEqual(self.ctl('pid', 'x', '--json').kind, 'ambiguous')

    def test_created_twice_by_the_same_name(self):
        first = int(self.ok('create', '-q', '--name', 'x', '--', 'true').out)
        second = int(self.ok('create', '-q', '--name', 'x', '--', 'true').out)
        self.assertNotEqual(first, second)
        self.assertEqual({p['id'] for p in self.procd.list(name='x')}, {first, second})

    def test_before_its_start(self):
        identity = self.ok('create', '-q', '--', 'true').out.strip()
        process = json.loads(self.ctl('status', '--json', identity).out)
        self.assertEqual((process['state'], process['pid'], process['exitcode'], process['alive'], process['result']),
                         ('initial', None, None, False, None))
        self.assertCode(self.ctl('status', identity), 3)
        self.assertCode(self.ctl('pid', identity), 3)
        self.assertCode(self.ctl('exitcode', identity), 3)
        alive = self.ctl('alive', identity)
        self.assertEqual((alive.out, alive.code), ('false\n', 3), alive)
        join = self.ctl('join', identity)
        self.assertCode(join, 1)
        self.assertIn('can only join a started process', join.err)
        self.assertEqual(self.ctl('join', '--json', identity).kind, 'not_started')
        self.assertCode(self.ctl('terminate', identity), 1)
        self.assertEqual(self.ctl('terminate', '--json', identity).kind, 'not_started')

    def test_start_twice(self):
        identity = self.ok('create', '-q', '--', 'sleep', '1000').out.strip()
        self.ok('start', identity)
        again = self.ctl('start', identity)
        self.assertCode(again, 1)
        self.assertIn('cannot start a process twice', again.err)
        self.assertEqual(self.ctl('start', '--json', identity).kind, 'already_started')


class Joining(ProcdTest):
    LINE = '测试Python多进程'
    END = '结束测试'
    FIVE = 'for i in 1 2 3 4 5; do procctl spawn -q -- sh -c "sleep 1; echo 测试Python多进程" >/dev/null; done\n'

    @unsanitized
    def test_five_processes_take_the_time_of_one(self):
        outcome = self.ctl('session', '--', 'bash', '-c', self.FIVE + 'procctl wait; echo 结束测试')
        self.assertCode(outcome, 0)
        self.assertEqual(outcome.out.splitlines(), [self.LINE] * 5 + [self.END], outcome)
        self.assertGreaterEqual(outcome.seconds, 1.0)
        self.assertLess(outcome.seconds, 3.0)
        processes = self.procd.list()
        self.assertEqual({p['name'] for p in processes}, {f'Process-{n}' for n in range(1, 6)})
        self.assertEqual(len({p['pid'] for p in processes}), 5)
        self.assertEqual([p['exitcode'] for p in processes], [0] * 5)

    @unsanitized
    def test_without_join_the_session_waits_all_the_same(self):
        outcome = self.ctl('session', '--', 'bash', '-c', self.FIVE + 'echo 结束测试')
        self.assertCode(outcome, 0)
        self.assertEqual(outcome.out.splitlines(), [self.END] + [self.LINE] * 5, outcome)
        self.assertGreaterEqual(outcome.seconds, 1.0)
        self.assertEqual([p for p in self.procd.list() if p['alive']], [])

    @unsanitized
    def test_they_run_on_when_the_session_is_killed(self):
        session = self.procd.popen_ctl('session', '--', 'bash', '-c', self.FIVE + 'echo all; procctl wait')
        self.assertEqual(self.line(session.stdout), 'all')
        running = self.procd.list()
        self.assertEqual(len(running), 5)
        name = running[0]['owner']['session']
        session.kill()
        lines = [self.line(session.stdout) for _ in range(5)]
        self.assertEqual(lines, [self.LINE] * 5)
        for process in running:
            process = self.procd.await_state(process['id'])
            self.assertEqual(process['exitcode'], 0)
            self.assertEqual(process['owner']['kind'], 'procd')
            self.assertIn('session', json.dumps(process['owner']['was']))
            self.assertIn(name, json.dumps(process['owner']['was']))


class Naming(ProcdTest):
    BODY = 'B="echo Starting \\$PROCD_NAME; sleep 1.5; echo Exiting \\$PROCD_NAME"\n'

    def test_named_and_default(self):
        outcome = self.ctl('session', '--', 'bash', '-c', self.BODY + '''
            procctl spawn -q --name foo_process -- sh -c "$B" >/dev/null
            procctl spawn -q -- sh -c "$B" >/dev/null''')
        self.assertCode(outcome, 0)
        lines = outcome.out.splitlines()
        self.assertEqual(set(lines[:2]), {'Starting foo_process', 'Starting Process-2'}, outcome)
        self.assertEqual(set(lines[2:]), {'Exiting foo_process', 'Exiting Process-2'}, outcome)
        self.assertEqual(len(lines), 4)
        self.assertGreaterEqual(outcome.seconds, 1.5)
        self.assertLess(outcome.seconds, 3.0)

    def test_renamed_while_it_runs(self):
        go = self.path('go')
        os.mkfifo(go)
        session = self.procd.popen_ctl('session', '--', 'bash', '-c', f'''
            procctl spawn -q --name foo_process -- sh -c "read x < {go}; echo Exiting \\$PROCD_NAME" >/dev/null
            procctl name foo_process bar; procctl status --json bar >/dev/null; echo $?; echo go > {go}''')
        self.assertEqual(self.line(session.stdout), '0')
        self.assertEqual(self.line(session.stdout), 'Exiting foo_process')
        self.assertEqual(session.wait(20), 0)
        self.assertEqual([p['name'] for p in self.procd.list()], ['bar'])

    def test_nested_names(self):
        script = '''procctl spawn -q -- sh -c "procctl spawn -q -- sh -c 'echo \\$PROCD_NAME'; procctl spawn -q -- sh -c 'echo \\$PROCD_NAME'; procctl wait" >/dev/null'''
        outcome = self.ctl('session', '--', 'bash', '-c', script)
        self.assertCode(outcome, 0)
        self.assertEqual({p['name'] for p in self.procd.list()}, {'Process-1', 'Process-1:1', 'Process-1:2'})
        self.assertIn('Process-1:1\n', outcome.out)
        self.assertIn('Process-1:2\n', outcome.out)


class Pids(ProcdTest):
    def test_the_pid_is_the_same_everywhere(self):
        out = self.path('out')
        identity = self.spawned('--name', 'foo_process', '--', 'sh', '-c',
                                f'echo "$PROCD_NAME $$ $(procctl current --pid)" > {out}; exec sleep 1000')
        name, shell, current = wait_for_file(out).split()
        pid = int(self.ok('pid', 'foo_process').out)
        self.assertEqual((name, int(shell), int(current)), ('foo_process', pid, pid))
        self.assertEqual(parent_of(pid), self.procd.pid)
        self.ok('terminate', '--wait', 'foo_process')
        self.assertEqual(int(self.ok('pid', 'foo_process').out), pid, 'kept after the end')
        self.ok('close', identity)
        for verb in ('pid', 'exitcode', 'alive', 'status'):
            self.assertCode(self.ctl(verb, identity), 4)

    @as_root
    @time_limit(90)
    def test_a_stranger_with_the_same_pid_is_never_hit(self):
        identity = self.spawned('--', 'true')
        self.ok('wait', identity)
        pid = self.procd.status(identity)['pid']
        stranger = None
        for _ in range(200):
            try:
                with open('/proc/sys/kernel/ns_last_pid', 'w') as f:
                    f.write(str(pid - 1))
            except OSError as error:
                self.skipTest(f'cannot choose a pid: {error}')
            candidate = os.fork()
            if candidate == 0:
                signal.pause()
                os._exit(0)
            if candidate == pid:
                stranger = candidate
                break
            os.kill(candidate, signal.SIGKILL)
            os.waitpid(candidate, 0)
        if stranger is None:
            self.skipTest('the pid was not given again')
        try:
            for verb in ('terminate', 'kill', 'interrupt'):
                self.ok(verb, identity)
            self.assertEqual(self.ctl('alive', identity).out, 'false\n')
            assert_stays(lambda: lives(stranger), 0.2)
        finally:
            os.kill(stranger, signal.SIGKILL)
            os.waitpid(stranger, 0)


class Daemons(ProcdTest):
    SCRIPT = '''B="echo Starting \\$PROCD_NAME; sleep 1.5; echo Exiting \\$PROCD_NAME"
        procctl spawn -q --daemon --name background_process -- sh -c "$B" >/dev/null
        procctl spawn -q --no-daemon --name NO_background_process -- sh -c "$B" >/dev/null
    '''

    def test_a_daemon_ends_with_the_script_and_the_other_is_waited_for(self):
        outcome = self.ctl('session', '--', 'bash', '-c', self.SCRIPT + 'sleep 0.3')
        self.assertCode(outcome, 0)
        self.assertEqual(sorted(outcome.out.splitlines()), [
            'Exiting NO_background_process', 'Starting NO_background_process', 'Starting background_process'], outcome)
        self.assertGreaterEqual(outcome.seconds, 1.5)
        self.assertLess(outcome.seconds, 3.0)
        by_name = {p['name']: p for p in self.procd.list()}
        daemon, other = by_name['background_process'], by_name['NO_background_process']
        self.assertEqual((daemon['exitcode'], daemon['result']['cause']), (-15, 'owner'))
        self.assertEqual((other['exitcode'], other['result']['cause']), (0, 'self'))
        self.assertLess(daemon['ended'], other['ended'])

    def test_the_children_of_a_daemon_go_with_it(self):
        pid_file = self.path('pid')
        outcome = self.ctl('session', '--', 'bash', '-c', f'''
            procctl spawn -q --daemon -- sh -c "sleep 1000 & echo \\$! > {pid_file}; wait" >/dev/null
            while ! test -s {pid_file}; do sleep 0.01; done''')
        self.assertCode(outcome, 0)
        self.assertFalse(lives(wait_for_pid_file(pid_file)))

    def end_session_by(self, number):
        session = self.procd.popen_ctl('session', '--', 'bash', '-c', self.SCRIPT + 'echo ready; exec sleep 1000')
        lines = {self.line(session.stdout) for _ in range(3)}
        self.assertIn('ready', lines)
        by_name = {p['name']: p for p in self.procd.list()}
        daemon, other = by_name['background_process'], by_name['NO_background_process']
        with Watched(daemon['pid']) as watched:
            begin = time.monotonic()
            session.send_signal(number)
            self.assertLess(watched.await_end() - begin, 0.3)
        daemon = self.procd.await_state(daemon['id'])
        self.assertEqual((daemon['exitcode'], daemon['result']['cause']), (-15, 'owner'))
        self.assertTrue(self.procd.status(other['id'])['alive'])
        self.assertEqual(parent_of(other['pid']), self.procd.pid)
        self.assertEqual(self.procd.await_state(other['id'])['exitcode'], 0)
        rest = [self.line(session.stdout)]
        self.assertEqual(rest, ['Exiting NO_background_process'])
        return session

    def test_session_client_killed(self):
        self.end_session_by(signal.SIGKILL)

    def test_session_client_terminated(self):
        session = self.end_session_by(signal.SIGTERM)
        self.assertEqual(session.wait(20), 128 + signal.SIGTERM)

    def test_session_client_hung_up(self):
        session = self.end_session_by(signal.SIGHUP)
        self.assertEqual(session.wait(20), 128 + signal.SIGHUP)

    def test_connection_closed(self):
        client = self.client()
        daemon = client.spawn('/bin/sleep', '1000', daemon=True)
        other = client.spawn('/bin/sleep', '1000', daemon=False)
        client.close()
        self.assertEqual(self.procd.await_state(daemon['id'])['exitcode'], -15)
        assert_stays(lambda: lives(other['pid']), 0.2)
        self.assertEqual(self.procd.status(other['id'])['owner']['kind'], 'procd')

    def test_client_killed_while_a_forked_copy_holds_its_socket(self):
        client = Client(self.procd.socket)
        report, write = os.pipe()
        owner = os.fork()
        if owner == 0:
            client.close()
            mine = Client(self.procd.socket)
            process = mine.spawn('/bin/sleep', '1000', daemon=True)
            copy = os.fork()
            if copy == 0:
                signal.pause()
            os.write(write, f'{process["pid"]} {copy}\n'.encode())
            signal.pause()
            os._exit(0)
        client.close()
        pid, copy = map(int, os.read(report, 100).split())
        try:
            with Watched(pid) as watched:
                os.kill(owner, signal.SIGKILL)
                os.waitpid(owner, 0)
                watched.await_end(5)
            self.assertTrue(lives(copy))
        finally:
            os.kill(copy, signal.SIGKILL)
            os.close(report)
            os.close(write)

    def test_spawn_then_status_in_any_shell(self):
        outcome = self.procd.sh('procctl spawn --name foo --daemon -- sleep 1000 && procctl status')
        self.assertCode(outcome, 0)
        row = next(line for line in outcome.out.splitlines() if 'foo' in line)
        self.assertIn('running', row)
        self.assertIn('procd', row)
        self.assertIn('sleep 1000', row)
        self.assertIn('foo', self.ok('status').out)
        outcome = self.procd.sh('procctl terminate foo; procctl wait foo; echo $?; procctl exitcode foo')
        self.assertEqual(outcome.out, '143\n-15\n', outcome)

    def test_ends_when_procd_stops(self):
        self.spawned('--name', 'foo', '--daemon', '--', 'sleep', '1000')
        with Watched(self.procd.status('foo')['pid']) as watched:
            self.procd.signal(signal.SIGTERM)
            watched.await_end(5)
        self.assertEqual(self.procd.await_exit(5), 0)

    def test_owner_caller(self):
        shell = self.procd.popen('bash', '-c', 'procctl spawn -q --daemon --owner caller -- sleep 1000; read x; true')
        identity = int(self.line(shell.stdout))
        process = self.procd.status(identity)
        self.assertEqual((process['owner']['kind'], process['owner']['pid']), ('pid', shell.pid))
        with Watched(process['pid']) as watched:
            begin = time.monotonic()
            shell.stdin.close()
            self.assertLess(watched.await_end() - begin, 0.5)
        self.assertEqual(self.procd.await_state(identity)['result']['cause'], 'owner')

    def test_daemonic_processes_have_no_other_children(self):
        identity = self.spawned('--daemon', '--name', 'd', '--', 'procctl', 'spawn', '--no-daemon', '--', 'true')
        process = self.procd.await_state(identity)
        self.assertEqual(process['exitcode'], 1)
        self.assertIn('daemonic processes are not allowed to have children', read_text(process['log']))
        self.assertEqual(len(self.procd.list()), 1)

    def test_daemonic_processes_may_have_daemonic_children(self):
        identity = self.spawned('--daemon', '--', 'sh', '-c', 'procctl spawn -q -- sleep 1000; exec sleep 1000')
        processes = wait_until(lambda: (lambda found: found if len(found) == 2 else None)(self.procd.list()))
        self.assertEqual([p['daemon'] for p in processes], [True, True], 'the flag is inherited')
        child = next(p for p in processes if p['id'] != identity)
        self.assertEqual((child['owner']['kind'], child['owner']['process']), ('process', identity))

    def test_the_flag_is_fixed_at_the_start(self):
        self.spawned('--name', 'd', '--', 'sleep', '1000')
        outcome = self.ctl('set', 'd', '--daemon')
        self.assertCode(outcome, 1)
        self.assertIn('process has already started', outcome.err)

    def test_ctrl_c_reaches_the_script_and_not_its_processes(self):
        ready = self.path('ready')
        script = f'''trap 'echo SCRIPT-INT; exit 0' INT
            procctl spawn -q --daemon -- sh -c 'trap "echo JOB-INT" INT; echo ready > {ready}; while :; do sleep 0.05; done' >/dev/null
            while ! test -s {ready}; do sleep 0.01; done
            echo SCRIPT-READY
            while :; do sleep 0.05; done'''
        pid, terminal = pty.fork()
        if pid == 0:
            env = self.procd.environment()
            os.execvpe('procctl', ['procctl', 'session', '--', 'bash', '-c', script], env)
        try:
            seen = b''

            def read_terminal(what, deadline=20.0):
                nonlocal seen
                end = time.monotonic() + deadline
                while what not in seen:
                    left = end - time.monotonic()
                    if left < 0 or not select.select([terminal], [], [], left)[0]:
                        raise AssertionError(f'no {what!r} in {seen!r}')
                    try:
                        data = os.read(terminal, 4096)
                    except OSError:
                        data = b''
                    if not data:
                        raise AssertionError(f'no {what!r} in {seen!r}')
                    seen += data
            read_terminal(b'SCRIPT-READY')
            os.write(terminal, b'\x03')
            read_terminal(b'SCRIPT-INT')
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
            pid = 0
            self.assertNotIn(b'JOB-INT', seen)
        finally:
            os.close(terminal)
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        self.assertEqual([p['exitcode'] for p in self.procd.list()], [-15])

    def test_a_daemon_that_ignores_the_signal(self):
        ready = self.path('ready')
        outcome = self.ctl('session', '--', 'bash', '-c', f'''
            procctl spawn -q --daemon --grace 1 -- sh -c "trap '' TERM; echo ready > {ready}; while :; do sleep 0.05; done" >/dev/null
            while ! test -s {ready}; do sleep 0.01; done''')
        self.assertCode(outcome, 0)
        self.assertGreaterEqual(outcome.seconds, 1.0)
        self.assertLess(outcome.seconds, 4.0)
        process, = self.procd.list()
        self.assertEqual((process['exitcode'], process['result']['cause']), (-9, 'owner'))

    def test_a_stopped_daemon(self):
        outcome = self.ctl('session', '--', 'bash', '-c', '''
            id=$(procctl spawn -q --daemon -- sleep 1000)
            kill -STOP $(procctl pid $id)''')
        self.assertCode(outcome, 0)
        self.assertLess(outcome.seconds, 5)
        self.assertEqual(self.procd.list()[0]['exitcode'], -15)


class Terminating(ProcdTest):
    def test_before_while_after_and_joined(self):
        outcome = self.ctl('session', '--', 'bash', '-c', r'''
            id=$(procctl create -q -- sh -c "echo Starting function; sleep 30; echo Finished function")
            r() { echo "$1 alive=$(procctl alive $id) $(procctl status --json $id)" | tr '\n' ' '; echo; }
            r "Process before execution:"
            procctl start $id >/dev/null
            r "Process running:"
            procctl terminate $id >/dev/null
            r "Process terminated:"
            procctl wait $id
            r "Process joined:"
            echo "Process exit code: $(procctl exitcode $id)"''')
        self.assertCode(outcome, 0)
        self.assertLess(outcome.seconds, 10)
        states = {}
        for line in outcome.out.splitlines():
            match = re.match(r'Process (.*): alive=(\w+) (.*)', line)
            if match:
                states[match[1]] = (match[2], objects(match[3])[0])
        self.assertEqual(list(states), ['before execution', 'running', 'terminated', 'joined'], outcome)
        alive, before = states['before execution']
        self.assertEqual((alive, before['name'], before['state'], before['pid']), ('false', 'Process-1', 'initial', None))
        alive, running = states['running']
        self.assertEqual((alive, running['state'], running['exitcode']), ('true', 'running', None))
        # Right after terminate it may still live, and the two answers may differ.
        self.assertIn(states['terminated'][1]['state'], ('stopping', 'exited'))
        alive, joined = states['joined']
        self.assertEqual((alive, joined['state'], joined['exitcode'], joined['pid']), ('false', 'exited', -15, running['pid']))
        self.assertEqual(len({s[1]['owner']['session'] for s in states.values()}), 1)
        self.assertIn('Process exit code: -15\n', outcome.out)
        self.assertNotIn('Finished function', outcome.out.splitlines())

    @time_limit(120)
    def test_terminate_and_wait_returns_when_it_is_gone(self):
        with Client(self.procd.socket) as client:
            for _ in range(300):
                process = client.spawn('/bin/sleep', '1000')
                ended = client.call('terminate', processes=[process['id']], wait=True)['processes'][0]
                self.assertEqual((ended['alive'], ended['state'], ended['exitcode']), (False, 'exited', -15))
                self.assertFalse(lives(process['pid']))

    def test_kill_and_interrupt(self):
        for verb, code in (('kill', -9), ('interrupt', -2), ('terminate', -15)):
            identity = self.spawned('--', 'sleep', '1000')
            self.ok(verb, identity)
            self.assertCode(self.ctl('wait', identity), 128 - code)
            self.assertEqual(self.ok('exitcode', identity).out, f'{code}\n')
        ready = self.path('ready')
        identity = self.spawned('--', PYTHON, '-c', f'import time; open({ready!r}, "w").write("1\\n"); time.sleep(1000)')
        wait_for_file(ready)
        self.ok('interrupt', identity)
        self.assertCode(self.ctl('wait', identity), 130)

    def test_kill_leaves_no_grandchildren(self):
        pids = self.path('pids')
        identity = self.spawned('--', 'sh', '-c', f'''
            (trap '' TERM; sh -c 'sleep 1000 & sleep 1000 & echo $$ $! > {pids}; wait'); sleep 1000''')
        grandchildren = [int(pid) for pid in wait_for_file(pids).split()]
        self.ok('kill', identity)
        self.ctl('wait', identity)
        self.assertEqual([pid for pid in grandchildren if lives(pid)], [])

    def test_joined_by_two_and_after_the_end(self):
        identity = self.spawned('--', 'sleep', '1000')
        shells = [self.procd.popen_ctl('join', identity) for _ in range(2)]
        with Client(self.procd.socket) as client:
            client.call('terminate', processes=[identity])
        self.assertEqual([shell.wait(20) for shell in shells], [143, 143])
        self.assertCode(self.ctl('join', identity), 143)
