"""Whose end decides a process's fate: every kind of owner, every way of ending."""

import json
import os
import select
import signal
import subprocess
import sys
import time

from harness import PYTHON, Client, ProcdTest, Watched, alone, assert_stays, comm_of, lives, median, wait_until

# A program that is an owner by its connection: it makes a daemon and another process, reports them and then does
# as it is told by a word on stdin. The socket is left open across exec or not, as the word says.
OWNER = r'''
import json, os, signal, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ['PROCD_SOCKET'])
f = s.makefile('rw', encoding='utf-8')
def spawn(daemon):
    f.write(json.dumps({'id': 1, 'method': 'spawn', 'params': {'command': ['/bin/sleep', '1000'], 'daemon': daemon}}) + '\n')
    f.flush()
    return json.loads(f.readline())['result']['id']
print(spawn(True), spawn(False), flush=True)
word = sys.stdin.readline().strip()
if word == 'exit':
    sys.exit(0)
if word == '_exit':
    os._exit(3)
if word == 'exec':
    os.execv('/bin/sleep', ['sleep', '1000'])
if word == 'fork':
    if os.fork() == 0:
        print('forked', os.getpid(), flush=True)
        signal.pause()
    signal.pause()
if word == 'forked-exit':
    if os.fork() == 0:
        print('forked', os.getpid(), flush=True)
        signal.pause()
    sys.stdin.readline()
    os._exit(0)
if word == 'half':
    s.shutdown(socket.SHUT_WR)
    print('half', flush=True)
signal.pause()
'''


class OwnerTest(ProcdTest):
    def ended_by_owner(self, daemon, within=5.0):
        process = self.procd.await_state(daemon, deadline=within)
        self.assertEqual((process['exitcode'], process['result']['how'], process['result']['cause']), (-15, 'signaled', 'owner'))
        return process

    def handed_over(self, other, was):
        process = wait_until(lambda: (lambda p: p if p['owner']['kind'] == 'procd' else None)(self.procd.status(other)), 5)
        self.assertEqual((process['state'], process['alive'], process['result']), ('running', True, None))
        self.assertIn(was, json.dumps(process['owner']['was']))
        self.assertTrue(process['fate'])
        with Client(self.procd.socket) as client:
            client.call('terminate', processes=[other], wait=True)
            self.assertEqual(client.status(other)['result']['cause'], 'client')

    def unchanged(self, daemon, other, kind):
        assert_stays(lambda: self.procd.status(daemon)['state'] == 'running', 0.25)
        self.assertEqual(self.procd.status(daemon)['owner']['kind'], kind)
        self.assertEqual(self.procd.status(other)['owner']['kind'], kind)


class Connections(OwnerTest):
    def owner(self, word):
        program = self.procd.popen(PYTHON, '-c', OWNER)
        daemon, other = map(int, self.line(program.stdout).split())
        owner = self.procd.status(daemon)['owner']
        self.assertEqual((owner['kind'], owner['pid']), ('connection', program.pid))
        self.assertEqual(owner['comm'], comm_of(program.pid))
        program.stdin.write(word.encode() + b'\n')
        return program, daemon, other

    def ends(self, word, number=None):
        program, daemon, other = self.owner(word)
        if number:
            program.send_signal(number)
        self.ended_by_owner(daemon)
        self.handed_over(other, 'connection')

    def test_exit(self):
        self.ends('exit')

    def test_abrupt_exit(self):
        self.ends('_exit')

    def test_terminated(self):
        self.ends('stay', signal.SIGTERM)

    def test_hung_up(self):
        self.ends('stay', signal.SIGHUP)

    def test_killed(self):
        self.ends('stay', signal.SIGKILL)

    def test_exec_closes_the_socket(self):
        self.ends('exec')

    def test_killed_while_a_forked_copy_holds_the_socket(self):
        program, daemon, other = self.owner('fork')
        copy = int(self.line(program.stdout).split()[1])
        try:
            program.kill()
            self.ended_by_owner(daemon)
            self.handed_over(other, 'connection')
            self.assertTrue(lives(copy))
        finally:
            os.kill(copy, signal.SIGKILL)

    def test_exits_while_a_forked_copy_holds_the_socket(self):
        program, daemon, other = self.owner('forked-exit')
        copy = int(self.line(program.stdout).split()[1])
        try:
            program.stdin.write(b'\n')
            self.ended_by_owner(daemon)
            self.handed_over(other, 'connection')
        finally:
            os.kill(copy, signal.SIGKILL)

    def test_half_close_is_no_end(self):
        program, daemon, other = self.owner('half')
        self.assertEqual(self.line(program.stdout), 'half')
        self.unchanged(daemon, other, 'connection')
        program.kill()
        self.ended_by_owner(daemon)
        self.handed_over(other, 'connection')

    def test_only_its_own_processes_end(self):
        first, second = self.client(), self.client()
        mine = first.spawn('/bin/sleep', '1000', daemon=True)['id']
        theirs = second.spawn('/bin/sleep', '1000', daemon=True)['id']
        first.close()
        self.ended_by_owner(mine)
        self.assertEqual(second.status(theirs)['state'], 'running')

    def test_an_unstarted_one(self):
        client = self.client()
        initial = client.call('create', command=['/bin/true'], daemon=True)['id']
        client.close()
        # It never ran and nobody may start it as that owner's any more: gone from the living either way.
        wait_until(lambda: all(p['state'] != 'initial' or p['owner']['kind'] == 'procd' for p in self.procd.list() if p['id'] == initial))


class Sessions(OwnerTest):
    SCRIPT = 'echo $(procctl spawn -q --daemon -- sleep 1000) $(procctl spawn -q -- sleep 1000); '

    def owner(self, rest):
        session = self.procd.popen_ctl('session', '--', 'bash', '-c', self.SCRIPT + rest)
        daemon, other = map(int, self.line(session.stdout).split())
        self.assertEqual(self.procd.status(daemon)['owner']['kind'], 'session')
        return session, daemon, other

    def polite(self, session, daemon, other, status):
        """The command ended: the daemon is ended, the other one waited for."""
        self.ended_by_owner(daemon)
        assert_stays(lambda: session.poll() is None, 0.2, 'the session waits')
        self.assertEqual(self.procd.status(other)['owner']['kind'], 'session')
        with Client(self.procd.socket) as client:
            client.call('terminate', processes=[other])
        self.assertEqual(session.wait(20), status)

    def test_exit(self):
        session, daemon, other = self.owner('read x; exit 7')
        session.stdin.write(b'\n')
        self.polite(session, daemon, other, 7)

    def test_terminated(self):
        session, daemon, other = self.owner('exec sleep 1000')
        session.terminate()
        self.polite(session, daemon, other, 143)

    def test_hung_up(self):
        session, daemon, other = self.owner('exec sleep 1000')
        session.send_signal(signal.SIGHUP)
        self.polite(session, daemon, other, 129)

    def test_killed(self):
        session, daemon, other = self.owner('exec sleep 1000')
        command = [int(p) for p in open(f'/proc/{session.pid}/task/{session.pid}/children').read().split()]
        session.kill()
        self.ended_by_owner(daemon)
        self.handed_over(other, 'session')
        for pid in command:
            self.assertGone(pid, 5)

    def test_the_command_killed(self):
        session, daemon, other = self.owner('kill -KILL $$')
        self.polite(session, daemon, other, 137)

    def test_exec_of_the_command_is_no_end(self):
        session, daemon, other = self.owner('exec sleep 1000')
        self.unchanged(daemon, other, 'session')

    def test_lease_on_the_wire(self):
        holder, user = self.client(), self.client()
        session = holder.call('session')['session']
        daemon = user.spawn('/bin/sleep', '1000', owner={'session': session}, daemon=True)['id']
        other = user.spawn('/bin/sleep', '1000', owner={'session': session})['id']
        user.close()
        self.unchanged(daemon, other, 'session')
        holder.close()
        self.ended_by_owner(daemon)
        self.handed_over(other, session)


class Processes(OwnerTest):
    def owner(self, rest, **options):
        fifo, go = self.path('fifo'), self.path('go')
        os.mkfifo(fifo)
        os.mkfifo(go)
        out = os.open(fifo, os.O_RDWR)
        try:
            owner = self.spawned('--', 'bash', '-c', f'''
                echo $(procctl spawn -q --daemon -- sleep 1000) $(procctl spawn -q -- sleep 1000) > {fifo}; read x < {go}; {rest}''', **options)
            ready = select.select([out], [], [], 20)[0]
            self.assertTrue(ready, 'no report of the owner')
            daemon, other = map(int, os.read(out, 100).split())
        finally:
            os.close(out)
            os.unlink(fifo)
        for process in (daemon, other):
            kind = self.procd.status(process)['owner']
            self.assertEqual((kind['kind'], kind['process'], kind['comm']), ('process', owner, comm_of(kind['pid'])))
        with open(go, 'w') as gate:
            gate.write('go\n')
        return owner, daemon, other

    def ends(self, rest, number=None):
        owner, daemon, other = self.owner(rest)
        if number:
            os.kill(self.procd.status(owner)['pid'], number)
        self.ended_by_owner(daemon)
        self.handed_over(other, str(owner))

    def test_exit(self):
        self.ends('exit 3')

    def test_terminated(self):
        self.ends('exec sleep 1000', signal.SIGTERM)

    def test_hung_up(self):
        self.ends('exec sleep 1000', signal.SIGHUP)

    def test_killed(self):
        self.ends('exec sleep 1000', signal.SIGKILL)

    def test_ended_by_a_client(self):
        owner, daemon, other = self.owner('exec sleep 1000')
        with Client(self.procd.socket) as client:
            client.call('terminate', processes=[owner])
        self.ended_by_owner(daemon)
        self.handed_over(other, str(owner))

    def test_exec_is_no_end(self):
        owner, daemon, other = self.owner('exec sleep 1000')
        self.unchanged(daemon, other, 'process')

    def test_the_environment_is_not_believed(self):
        stranger = self.spawned('--', 'sleep', '1000')
        process = self.procd.status(self.spawned('--', 'sleep', '1000', env={'PROCD_ID': str(stranger), 'PROCD_NAME': 'x'}))
        self.assertEqual(process['owner']['kind'], 'procd')

    def test_named_on_the_wire(self):
        client = self.client()
        owner = client.spawn('/bin/sleep', '1000', owner='procd')['id']
        daemon = client.spawn('/bin/sleep', '1000', owner={'process': owner}, daemon=True)['id']
        other = client.spawn('/bin/sleep', '1000', owner={'process': owner})['id']
        client.call('kill', processes=[owner])
        self.ended_by_owner(daemon)
        self.handed_over(other, str(owner))
        self.assertError(client.error('spawn', command=['/bin/true'], owner={'process': owner}), 'owner_gone', 1)

    def test_a_chain(self):
        client = self.client()
        chain = [client.spawn('/bin/sleep', '1000', owner='procd')['id']]
        for _ in range(5):
            chain.append(client.spawn('/bin/sleep', '1000', owner={'process': chain[-1]}, daemon=True)['id'])
        client.call('kill', processes=[chain[0]])
        for process in chain[1:]:
            self.ended_by_owner(process)


class Pids(OwnerTest):
    SCRIPT = 'import os, signal, sys; sys.stdin.readline(); os.execv("/bin/sleep", ["sleep", "1000"])'

    def owner(self, pidfd=False):
        program = self.procd.popen(PYTHON, '-c', self.SCRIPT)
        client = self.client()
        owner, fds = {'pid': program.pid}, []
        if pidfd:
            owner, fds = {'pidfd': 0}, [os.pidfd_open(program.pid)]
        daemon = client.spawn('/bin/sleep', '1000', _fds=fds, owner=owner, daemon=True)
        other = client.spawn('/bin/sleep', '1000', _fds=fds, owner=owner)
        for fd in fds:
            os.close(fd)
        client.close()
        self.assertEqual((daemon['owner']['kind'], daemon['owner']['pid']), ('pid', program.pid))
        self.assertEqual(daemon['owner']['comm'], comm_of(program.pid))
        return program, daemon['id'], other['id']

    def ends(self, number, pidfd=False):
        program, daemon, other = self.owner(pidfd)
        program.send_signal(number)
        self.ended_by_owner(daemon)
        self.handed_over(other, str(program.pid))

    def test_terminated(self):
        self.ends(signal.SIGTERM)

    def test_hung_up(self):
        self.ends(signal.SIGHUP)

    def test_killed(self):
        self.ends(signal.SIGKILL)

    def test_pidfd(self):
        self.ends(signal.SIGKILL, pidfd=True)

    def test_exit_of_a_zombie(self):
        # Its parent does not wait for it: a zombie has ended all the same.
        program = self.procd.popen('bash', '-c', 'read x; exit 0')
        daemon = self.spawned('--daemon', '--owner', f'pid:{program.pid}', '--', 'sleep', '1000')
        other = self.spawned('--owner', f'pid:{program.pid}', '--', 'sleep', '1000')
        program.stdin.write(b'\n')
        self.ended_by_owner(daemon)
        self.handed_over(other, str(program.pid))

    def test_exec_is_no_end(self):
        program, daemon, other = self.owner()
        program.stdin.write(b'\n')
        wait_until(lambda: open(f'/proc/{program.pid}/comm').read() == 'sleep\n')
        self.unchanged(daemon, other, 'pid')
        program.kill()
        self.ended_by_owner(daemon)

    def test_gone_already(self):
        program = subprocess.Popen(['true'])
        program.wait()
        outcome = self.ctl('spawn', '--owner', f'pid:{program.pid}', '--', 'true')
        self.assertCode(outcome, 1)
        self.assertEqual(self.ctl('spawn', '--json', '--owner', f'pid:{program.pid}', '--', 'true').kind, 'owner_gone')
        zombie = self.procd.popen('true')
        wait_until(lambda: not lives(zombie.pid))
        self.assertEqual(self.ctl('spawn', '--json', '--owner', f'pid:{zombie.pid}', '--', 'true').kind, 'owner_gone')
        self.assertEqual(self.procd.list(), [])

    def test_caller_is_the_program_and_not_a_subshell(self):
        for script in ('( procctl spawn -q --daemon --owner caller -- sleep 1000 )', 'x=$(procctl spawn -q --daemon --owner caller -- sleep 1000 | cat); echo $x',
                       'true | procctl spawn -q --daemon --owner caller -- sleep 1000 | cat'):
            shell = self.procd.popen('bash', '-c', script + '; read x; true')
            daemon = int(self.line(shell.stdout))
            process = self.procd.status(daemon)
            self.assertEqual((process['owner']['kind'], process['owner']['pid'], process['alive']), ('pid', shell.pid, True), script)
            shell.stdin.close()
            self.ended_by_owner(daemon)

    def test_caller_by_environment(self):
        shell = self.procd.popen('bash', '-c', 'procctl spawn -q --daemon -- sleep 1000; read x; true', env={'PROCD_OWNER': 'caller'})
        daemon = int(self.line(shell.stdout))
        self.assertEqual(self.procd.status(daemon)['owner']['pid'], shell.pid)


class Precedence(OwnerTest):
    def test_the_enclosing_process_goes_before_the_session(self):
        outcome = self.ctl('session', '--', 'procctl', 'run', '--', 'procctl', 'spawn', '--json', '--daemon', '--', 'sleep', '1000')
        self.assertCode(outcome, 0)
        self.assertEqual(outcome.json['owner']['kind'], 'process')

    def test_the_environment_goes_before_the_session(self):
        outcome = self.ctl('session', '--', 'sh', '-c', 'PROCD_OWNER=procd procctl spawn --json --daemon -- sleep 1000')
        self.assertEqual(outcome.json['owner']['kind'], 'procd')

    def test_the_option_goes_before_all(self):
        other = self.procd.popen('sleep', '1000').pid
        outcome = self.ctl('session', '--', 'sh', '-c', f'PROCD_OWNER=procd procctl spawn --owner pid:{other} --json --daemon -- sleep 1000')
        self.assertEqual(outcome.json['owner']['kind'], 'pid')

    def test_a_process_in_a_daemonic_one_may_belong_to_procd(self):
        identity = self.spawned('--daemon', '--', 'sh', '-c', 'procctl spawn -q --owner procd -- sleep 1000; exec sleep 1000')
        child = wait_until(lambda: next((p for p in self.procd.list() if p['id'] != identity), None))
        self.assertEqual((child['owner']['kind'], child['daemon'], child['name']), ('procd', True, 'Process-1:1'))

    def test_changed_while_it_runs(self):
        client = self.client()
        process = client.spawn('/bin/sleep', '1000', daemon=True)['id']
        client.call('set', process=process, owner='procd')
        client.close()
        assert_stays(lambda: self.procd.status(process)['state'] == 'running', 0.2)
        with Client(self.procd.socket) as second:
            second.call('set', process=process, owner='connection')
        self.ended_by_owner(process)
