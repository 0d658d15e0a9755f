"""How procd stops, and what its socket does meanwhile."""

import os
import signal
import stat
import time

from harness import ProcdTest, Watched, lives, wait_for_file, wait_until

SH = '/bin/sh'


class StopTest(ProcdTest):
    def setUp(self):
        super().setUp()
        self.c = self.client()

    def pair(self, other='exec sleep 1000', daemon='exec sleep 1000', **params):
        """A daemon and another process of procd's own, both watched."""
        env = {'PATH': '/usr/bin:/bin'}
        daemon = self.c.spawn(SH, '-c', daemon, daemon=True, owner='procd', env=env, **params)
        other = self.c.spawn(SH, '-c', other, daemon=False, owner='procd', env=env, **params)
        watched = Watched(daemon['pid']), Watched(other['pid'])
        for each in watched:
            self.addCleanup(each.close)
        return watched

    def stopped(self, deadline=20):
        self.assertEqual(self.procd.await_exit(deadline), 0)
        self.assertFalse(os.path.exists(self.procd.socket), 'the socket is removed')


class Draining(StopTest):
    options = ('--drain', '0.8')

    def test_daemons_at_once_and_others_after_the_drain_time(self):
        daemon, other = self.pair()
        begin = time.monotonic()
        self.procd.signal(signal.SIGTERM)
        self.assertLess(daemon.await_end() - begin, 0.5)
        taken = other.await_end() - begin
        self.assertGreaterEqual(taken, 0.75)
        self.assertLess(taken, 5)
        self.stopped()

    def test_every_signal_that_means_stop(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.pair()
            self.procd.signal(number)
            self.stopped()
            self.procd.start()
            self.c = self.client()

    def test_as_soon_as_the_last_has_ended(self):
        daemon, other = self.pair(other='sleep 0.2')
        begin = time.monotonic()
        self.procd.signal(signal.SIGTERM)
        self.stopped()
        self.assertLess(time.monotonic() - begin, 0.75)

    def test_spawns_are_refused_meanwhile(self):
        self.pair()
        self.procd.signal(signal.SIGTERM)
        wait_until(lambda: not self.c.call('list', alive=True, daemon=True)['processes'])
        for method in ('spawn', 'create'):
            self.assertError(self.c.error(method, command=['/bin/true']), 'shutting_down', 1)
        self.assertEqual(self.ctl('spawn', '--json', '--', 'true').kind, 'shutting_down')
        self.stopped()

    def test_second_signal_does_not_wait(self):
        self.procd.options = ['--drain', '60']
        self.procd.signal(signal.SIGTERM)
        self.stopped()
        self.procd.start()
        self.c = self.client()
        daemon, other = self.pair()
        self.procd.signal(signal.SIGTERM)
        daemon.await_end(5)
        self.assertFalse(other.ended())
        begin = time.monotonic()
        self.procd.signal(signal.SIGTERM)
        other.await_end(5)
        self.stopped()
        self.assertLess(time.monotonic() - begin, 3)


class Asked(StopTest):
    options = ('--drain', '60', '--grace', '1')

    def test_now(self):
        daemon, other = self.pair()
        begin = time.monotonic()
        self.ok('shutdown', '--now')
        daemon.await_end(5)
        other.await_end(5)
        self.stopped()
        self.assertLess(time.monotonic() - begin, 3)

    def test_now_of_one_that_ignores_the_signal(self):
        ready = self.path('ready')
        self.pair(other=f'trap "" TERM; echo > {ready}; while :; do sleep 0.02; done')
        wait_for_file(ready)
        begin = time.monotonic()
        self.c.call('shutdown', now=True)
        self.stopped()
        self.assertLess(time.monotonic() - begin, 5)

    def test_answered_when_it_has_begun(self):
        daemon, other = self.pair()
        self.assertEqual(self.c.call('shutdown'), {})
        self.assertError(self.c.error('spawn', command=['/bin/true']), 'shutting_down', 1)
        daemon.await_end(5)
        self.assertFalse(other.ended())
        self.c.call('shutdown', now=True)
        self.stopped()

    def test_wait_for_ever(self):
        self.procd.options = ['--drain', '0.1']
        self.c.call('shutdown', now=True)
        self.stopped()
        self.procd.start()
        self.c = self.client()
        daemon, other = self.pair(other='sleep 1; exit 0')
        begin = time.monotonic()
        self.c.call('shutdown', wait=True)
        daemon.await_end(5)
        self.assertGreaterEqual(other.await_end() - begin, 0.9)
        self.stopped()

    def test_waiters_get_their_answers(self):
        daemon, other = self.pair()
        numbers = [self.c.request('wait', {'processes': [p['id']]}) for p in self.c.call('list')['processes']]
        self.c.call('shutdown', now=True)
        self.assertEqual([self.c.result(n)['processes'][0]['exitcode'] for n in numbers], [-15, -15])
        self.stopped()

    def test_cause(self):
        self.pair()
        waiting = [self.c.request('wait', {'processes': [p['id']]}) for p in self.c.call('list')['processes']]
        self.c.call('shutdown', now=True)
        self.assertEqual({self.c.result(n)['processes'][0]['result']['cause'] for n in waiting}, {'shutdown'})
        self.stopped()

    def test_processes_of_every_owner(self):
        owned = [self.c.spawn('/bin/sleep', '1000', daemon=flag) for flag in (True, False)]
        session = self.procd.popen_ctl('session', '--', 'sh', '-c', 'procctl spawn -q -- sleep 1000; read x')
        owned.append(self.procd.status(int(self.line(session.stdout))))
        self.c.call('shutdown', now=True)
        self.stopped()
        self.assertEqual([p['pid'] for p in owned if lives(p['pid'])], [])

    def test_with_unstarted_and_ended_ones(self):
        self.c.call('create', command=['/bin/true'], owner='procd')
        self.c.wait(self.c.spawn('/bin/true', owner='procd')['id'])
        begin = time.monotonic()
        self.procd.signal(signal.SIGTERM)
        self.stopped()
        self.assertLess(time.monotonic() - begin, 2)


class Sockets(StopTest):
    def test_one_procd_a_socket(self):
        begin = time.monotonic()
        second = self.procd.run(self.procd.command(), timeout=10)
        self.assertNotEqual(second.code, 0)
        self.assertIn(self.procd.socket, second.err)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertUnhurt()

    def test_even_when_its_socket_is_unlinked(self):
        os.unlink(self.procd.socket)
        second = self.procd.run(self.procd.command(), timeout=10)
        self.assertNotEqual(second.code, 0, 'the lock is held for life')
        wait_until(lambda: os.path.exists(self.procd.socket))

    def test_unlinked_and_bound_again(self):
        process = self.c.spawn('/bin/sleep', '1000', owner='procd')['id']
        os.unlink(self.procd.socket)
        wait_until(lambda: os.path.exists(self.procd.socket), 30)

        def answers():
            try:
                return self.procd.status(process)['alive']
            except OSError:
                return False
        wait_until(answers)
        self.assertEqual(self.c.call('hello')['pid'], self.procd.pid)

    def test_killed_and_started_again(self):
        self.c.close()
        self.procd.process.kill()
        self.procd.process.wait()
        self.assertTrue(os.path.exists(self.procd.socket))
        self.procd.start()
        self.assertUnhurt()

    def test_mode(self):
        mode = stat.S_IMODE(os.stat(self.procd.socket).st_mode)
        self.assertEqual(mode & 0o007, 0, oct(mode))

    def test_ids_are_not_used_again_by_the_next_sessions(self):
        first = self.c.call('session')['session']
        second = self.client().call('session')['session']
        self.assertNotEqual(first, second)


class SocketModes(StopTest):
    options = ('--socket-mode', '0606')

    def test_as_the_administrator_says(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.procd.socket).st_mode), 0o606)
