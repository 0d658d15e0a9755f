"""A tree ends as a whole, whatever its members do to get away."""

import json
import os
import select
import signal
import subprocess
import time

from harness import (PYTHON, ProcdTest, Watched, as_root, assert_stays, cgroup2_mount, cgroup_of, lives, read_text, remove_cgroup,
                     wait_for_file, wait_for_pid_file, wait_until)

SH = '/bin/sh'
PATH = {'PATH': '/usr/local/bin:/usr/bin:/bin'}

# Forks twice with a session of its own in between, ignores what it can, and with 'clean' drops its environment too.
# The main process of the tree goes on, or ends, as the third word says.
ESCAPE = r'''
import os, signal, sys
pid_file, clean, rest = sys.argv[1:]
body = r"""
import os, signal, sys
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
with open(sys.argv[1] + '.new', 'w') as f:
    f.write(str(os.getpid()) + '\n')
os.rename(sys.argv[1] + '.new', sys.argv[1])
while True:
    signal.pause()
"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        os.execve(sys.executable, [sys.executable, '-c', body, pid_file], {} if clean == 'clean' else os.environ)
    os._exit(0)
os.wait()
if rest == 'stay':
    signal.pause()
while not os.path.exists(pid_file):
    pass
'''


class TreeTest(ProcdTest):
    def setUp(self):
        super().setUp()
        self.c = self.client()

    def shell(self, script, **params):
        return self.c.spawn(SH, '-c', script, env=PATH, **params)

    def escape(self, clean='', rest='stay', **params):
        """A process with such a grandchild; the process object and the grandchild's pid."""
        pid_file = self.path('grandchild')
        process = self.c.spawn(PYTHON, '-c', ESCAPE, pid_file, clean, rest, **params)
        return process, wait_for_pid_file(pid_file)


class Escapes(TreeTest):
    def test_gone_when_terminate_returns(self):
        process, grandchild = self.escape(grace=0.3)
        ended = self.c.call('terminate', processes=[process['id']], wait=True)['processes'][0]
        self.assertEqual((ended['state'], ended['exitcode']), ('exited', -15))
        self.assertFalse(lives(grandchild))

    def test_gone_with_a_cleaned_environment(self):
        process, grandchild = self.escape('clean', grace=0.3)
        self.c.call('terminate', processes=[process['id']], wait=True)
        self.assertFalse(lives(grandchild))

    def test_gone_with_a_cleaned_environment_among_others(self):
        self.need_cgroup()
        for _ in range(3):
            self.c.spawn('/bin/sleep', '1000')
        process, grandchild = self.escape('clean', grace=0.3)
        self.c.call('terminate', processes=[process['id']], wait=True)
        self.assertFalse(lives(grandchild))

    def test_gone_when_procctl_returns(self):
        process, grandchild = self.escape('clean' if self.kind() == 'cgroup' else '')
        self.ok('terminate', '--wait', '--grace', '0.3', process['id'])
        self.assertFalse(lives(grandchild))

    def test_gone_when_killed(self):
        process, grandchild = self.escape()
        self.c.call('kill', processes=[process['id']])
        self.c.wait(process['id'])
        self.assertFalse(lives(grandchild))

    def test_gone_with_its_owner(self):
        process, grandchild = self.escape(grace=0.3, daemon=True)
        self.c.close()
        self.procd.await_state(process['id'])
        self.assertFalse(lives(grandchild))

    def test_nothing_of_it_survives_procd(self):
        # Where nothing but a group could tell whose it was, the end of procd is the latest end.
        self.c.spawn('/bin/sleep', '1000', owner='procd')
        self.c.spawn('/bin/sleep', '1000', owner='procd')
        process, grandchild = self.escape('clean', 'leave', owner='procd', grace=0.3)
        if self.kind() == 'cgroup':
            self.c.wait(process['id'])
            self.assertFalse(lives(grandchild))
        self.c.call('shutdown', now=True)
        self.assertEqual(self.procd.await_exit(), 0)
        self.assertFalse(lives(grandchild))

    def test_the_kind_in_force_is_told(self):
        forced = os.environ.get('PROCD_TEST_CONTAINMENT', 'auto')
        text = json.dumps(self.c.call('hello')['containment'])
        if forced in ('cgroup', 'subreaper'):
            self.assertIn(forced, text)
        else:
            self.assertRegex(text, 'cgroup|subreaper')

    def test_orphans_leave_no_zombies(self):
        process = self.shell('for i in 1 2 3 4 5; do (true & true &); done; exec sleep 1000')
        wait_until(lambda: read_text(f'/proc/{process["pid"]}/comm') == 'sleep\n')
        wait_until(lambda: not self.procd.zombies())
        self.assertTrue(self.c.status(process['id'])['alive'])


class Strangers(TreeTest):
    def test_a_borrowed_environment_makes_nobody_a_member(self):
        # What is not procd's descendant is never signalled, whatever its environment says.
        process = self.c.spawn('/bin/sleep', '1000')
        environment = PATH | {'PROCD_ID': str(process['id']), 'PROCD_NAME': 'x', 'PROCD_SOCKET': self.procd.socket}
        stranger = subprocess.Popen(['sleep', '1000'], env=environment, start_new_session=True)
        neighbour = subprocess.Popen(['sleep', '1000'], env=PATH, process_group=0)
        try:
            self.c.call('terminate', processes=[process['id']], wait=True)
            other = self.c.spawn('/bin/sleep', '1000')
            self.c.call('kill', processes=[other['id']])
            self.c.wait(other['id'])
            self.assertIsNone(stranger.poll())
            self.assertIsNone(neighbour.poll())
        finally:
            for one in (stranger, neighbour):
                one.kill()
                one.wait()


class Order(TreeTest):
    def test_the_main_process_is_told_first(self):
        flag = self.path('flag')
        for _ in range(30):
            process = self.shell(f'sleep 1000; echo went on > {flag}')
            wait_until(lambda: read_text(f'/proc/{process["pid"]}/task/{process["pid"]}/children').strip())
            self.c.call('terminate', processes=[process['id']], wait=True)
            self.assertFalse(os.path.exists(flag), 'the shell went on when its child had ended')

    def test_the_rest_is_told_too(self):
        out = self.path('out')
        process = self.shell(f'''sh -c 'trap "echo told > {out}; exit" TERM; echo > {out}.ready; while :; do sleep 0.02; done' & exec sleep 1000''')
        wait_for_file(out + '.ready')
        self.c.call('terminate', processes=[process['id']], wait=True)
        self.assertEqual(read_text(out), 'told\n')

    def test_stopped_ones_go_on_to_end(self):
        pid_file = self.path('pid')
        process = self.shell(f'sleep 1000 & echo $! > {pid_file}; wait')
        child = wait_for_pid_file(pid_file)
        os.kill(child, signal.SIGSTOP)
        os.kill(process['pid'], signal.SIGSTOP)
        begin = time.monotonic()
        ended = self.c.call('terminate', processes=[process['id']], wait=True)['processes'][0]
        self.assertEqual(ended['exitcode'], -15)
        self.assertFalse(lives(child))
        self.assertLess(time.monotonic() - begin, 5)

    def test_one_that_forks_while_it_is_ended(self):
        process = self.shell('''trap "" TERM
            f() { while :; do sh -c "trap '' TERM; sleep 0.05" & sleep 0.01; done; }; f & f & f & while :; do sleep 0.01; done''', grace=0.2)
        wait_until(lambda: read_text(f'/proc/{process["pid"]}/task/{process["pid"]}/children').strip())
        ended = self.c.call('terminate', processes=[process['id']], wait=True)['processes'][0]
        self.assertEqual((ended['state'], ended['exitcode']), ('exited', -9))


class Leftovers(TreeTest):
    def test_counted_and_ended_after_a_moment(self):
        pids = self.path('pids')
        process = self.shell(f'sleep 1000 & a=$!; sleep 1000 & b=$!; sleep 1000 & echo $a $b $! > {pids}; exit 4')
        left = [int(pid) for pid in wait_for_file(pids).split()]
        ended = self.c.wait(process['id'])['processes'][0]
        self.assertEqual((ended['exitcode'], ended['result']['cause'], ended['result']['leftovers']), (4, 'self', 3))
        self.assertEqual([pid for pid in left if lives(pid)], [])

    def test_they_have_200_ms(self):
        pid_file = self.path('pid')
        process = self.shell(f'sleep 1000 & echo $! > {pid_file}; read x', **self.stdin_pipe())
        with Watched(wait_for_pid_file(pid_file)) as left, Watched(process['pid']) as main:
            os.close(self.stdin)
            begin = main.await_end()
            taken = left.await_end() - begin
        self.assertGreaterEqual(taken, 0.15)
        self.assertLess(taken, 1.0)

    def stdin_pipe(self):
        reader, self.stdin = os.pipe()
        self.addCleanup(os.close, reader)
        return {'_fds': [reader], 'stdio': {'stdin': {'fd': 0}}}

    def test_those_that_go_by_themselves_are_not_counted(self):
        process = self.shell('sleep 0.05 & exit 0')
        self.assertEqual(self.c.wait(process['id'])['processes'][0]['result']['leftovers'], 0)

    def test_none(self):
        process = self.shell('exit 0')
        self.assertEqual(self.c.wait(process['id'])['processes'][0]['result']['leftovers'], 0)

    def test_the_exit_code_is_known_before_the_tree_is_empty(self):
        ready = self.path('ready')
        process = self.shell(f'sh -c "trap \'\' TERM; echo > {ready}; exec sleep 1000" & while ! test -s {ready}; do sleep 0.01; done; exit 5', grace=1)
        number = self.c.request('sentinel', {'process': process['id']})
        self.c.result(number)
        self.assertTrue(select.select(self.c.fds[number], [], [], 20)[0])
        status = self.c.status(process['id'])
        self.assertEqual((status['state'], status['alive'], status['exitcode']), ('stopping', False, 5))
        waiting = self.c.request('wait', {'processes': [process['id']]})
        self.assertTrue(self.c.pending(waiting, 0.3))
        ended = self.c.result(waiting)['processes'][0]
        self.assertEqual((ended['state'], ended['exitcode'], ended['result']['leftovers']), ('exited', 5, 1))

    def test_shown(self):
        identity = self.spawned('--name', 'messy', '--', 'sh', '-c', 'sleep 1000 & sleep 1000 & exit 0')
        self.ok('wait', identity)
        self.assertIn('2 left behind, ended', self.ok('status').out)

    def test_kept_until_the_owners_end(self):
        pid_file = self.path('pid')
        process = self.shell(f'sleep 1000 & echo $! > {pid_file}; exit 0', leftovers='keep', daemon=True)
        left = wait_for_pid_file(pid_file)
        wait_until(lambda: not self.c.status(process['id'])['alive'])
        assert_stays(lambda: lives(left), 0.6)
        self.c.close()
        self.assertGone(left, 5)


class Modes(TreeTest):
    def test_main_only(self):
        told, ready = self.path('told'), self.path('ready')
        process = self.shell(f'''sh -c 'trap "echo told > {told}" TERM; echo $$ > {ready}; while :; do sleep 0.02; done' &
            trap "exit 3" TERM; while :; do sleep 0.02; done''', kill_mode='main', grace=0.5)
        child = wait_for_pid_file(ready)
        begin = time.monotonic()
        ended = self.c.call('terminate', processes=[process['id']], wait=True)['processes'][0]
        self.assertEqual((ended['exitcode'], ended['state']), (3, 'exited'))
        self.assertGreaterEqual(time.monotonic() - begin, 0.4, 'the rest has the grace')
        self.assertFalse(os.path.exists(told), 'the rest was not told')
        self.assertFalse(lives(child))

    def test_main_that_stops_its_own_children(self):
        ready = self.path('ready')
        process = self.shell(f'sleep 1000 & child=$!; trap "kill $child; wait $child; exit 0" TERM; echo > {ready}; while :; do sleep 0.02; done',
                             kill_mode='main', grace=20)
        wait_for_file(ready)
        begin = time.monotonic()
        ended = self.c.call('terminate', processes=[process['id']], wait=True)['processes'][0]
        self.assertEqual(ended['exitcode'], 0)
        self.assertLess(time.monotonic() - begin, 5)


class Graces(TreeTest):
    def stubborn(self, **params):
        ready = self.path(f'ready{time.monotonic_ns()}')
        process = self.shell(f'trap "" TERM; echo > {ready}; while :; do sleep 0.02; done', **params)
        wait_for_file(ready)
        return process['id']

    def end_time(self, process, begin):
        self.assertEqual(self.c.wait(process)['processes'][0]['exitcode'], -9)
        return time.monotonic() - begin

    def test_of_the_process(self):
        process, begin = self.stubborn(grace=0.3), time.monotonic()
        self.c.call('terminate', processes=[process])
        self.assertGreaterEqual(self.end_time(process, begin), 0.3)

    def test_of_the_call(self):
        process, begin = self.stubborn(grace=30), time.monotonic()
        self.c.call('terminate', processes=[process], grace=0.3)
        self.assertLess(self.end_time(process, begin), 5)

    def test_shortened(self):
        process, begin = self.stubborn(), time.monotonic()
        self.c.call('terminate', processes=[process], grace=30)
        self.c.call('terminate', processes=[process], grace=0.2)
        self.assertLess(self.end_time(process, begin), 5)

    def test_never_lengthened(self):
        process, begin = self.stubborn(), time.monotonic()
        self.c.call('terminate', processes=[process], grace=0.4)
        self.c.call('terminate', processes=[process], grace=30)
        self.assertLess(self.end_time(process, begin), 5)

    def test_none_at_all(self):
        process, begin = self.stubborn(), time.monotonic()
        self.c.call('terminate', processes=[process], grace=0)
        self.assertLess(self.end_time(process, begin), 2)

    def test_also_after_the_end_of_the_main_process(self):
        ready = self.path('ready')
        process = self.shell(f'sh -c "trap \'\' TERM; echo > {ready}; while :; do sleep 0.02; done" & exec sleep 1000', grace=0.6)['id']
        wait_for_file(ready)
        begin = time.monotonic()
        ended = self.c.call('terminate', processes=[process], wait=True)['processes'][0]
        self.assertEqual(ended['exitcode'], -15)
        self.assertGreaterEqual(time.monotonic() - begin, 0.55)


class Groups(TreeTest):
    def setUp(self):
        super().setUp()
        self.need_cgroup()

    def test_each_process_has_its_own_by_name(self):
        process = self.c.spawn('/bin/sleep', '1000', name='foo')
        group = cgroup_of(process['pid'])
        self.assertEqual(os.path.basename(group), f'{process["id"]}-foo')
        other = self.c.spawn('/bin/sleep', '1000', name='../a/b ü%')
        group = cgroup_of(other['pid'])
        self.assertTrue(os.path.basename(group).startswith(f'{other["id"]}-'), group)
        self.assertEqual(os.path.dirname(group), os.path.dirname(cgroup_of(process['pid'])))

    def test_of_a_long_name(self):
        process = self.c.spawn('/bin/sleep', '1000', name='é' * 127)
        self.assertTrue(os.path.basename(cgroup_of(process['pid'])).startswith(f'{process["id"]}-'))

    def test_beside_its_owners(self):
        owner = self.c.spawn('/bin/sleep', '1000')
        process = self.c.spawn('/bin/sleep', '1000', owner={'process': owner['id']})
        self.assertEqual(os.path.dirname(cgroup_of(process['pid'])), os.path.dirname(cgroup_of(owner['pid'])))
        self.c.call('kill', processes=[owner['id']])
        self.c.wait(owner['id'])
        self.assertTrue(self.c.status(process['id'])['alive'])

    @as_root
    def test_groups_made_inside_are_ended_and_removed(self):
        pid_file = self.path('pid')
        mount = cgroup2_mount()
        process = self.shell(f'''own={mount}$(sed -n s/^0:://p /proc/self/cgroup)
            mkdir -p $own/a/b; (trap '' TERM; echo 0 > $own/a/b/cgroup.procs; sh -c 'echo $PPID' > {pid_file}; while :; do sleep 0.05; done) &
            exec sleep 1000''', grace=0.3)
        child = wait_for_pid_file(pid_file)
        group = mount + cgroup_of(process['pid'])
        self.assertTrue(os.path.isdir(group + '/a/b'))
        self.c.call('terminate', processes=[process['id']], wait=True)
        self.assertFalse(lives(child))
        wait_until(lambda: not os.path.exists(group), 5)

    @as_root
    def test_one_that_moved_out_is_ended_too(self):
        # As `su -` or a scope of another manager does it; its environment still tells whose it is.
        pid_file = self.path('pid')
        elsewhere = cgroup2_mount() + f'/procd-test-{os.getpid()}-elsewhere'
        os.mkdir(elsewhere)
        try:
            process = self.shell(f'''(echo 0 > {elsewhere}/cgroup.procs; exec setsid sh -c 'echo $$ > {pid_file}; exec sleep 1000') & exec sleep 1000''')
            child = wait_for_pid_file(pid_file)
            self.c.call('terminate', processes=[process['id']], wait=True)
            self.assertGone(child, 5)
        finally:
            remove_cgroup(elsewhere)

    def test_removed_after_the_end(self):
        process = self.c.spawn('/bin/sleep', '1000')
        group = cgroup2_mount() + cgroup_of(process['pid'])
        self.assertTrue(os.path.isdir(group))
        self.c.call('kill', processes=[process['id']])
        self.c.wait(process['id'])
        wait_until(lambda: not os.path.exists(group), 5)
