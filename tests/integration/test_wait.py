"""Joining: any number of waiters, before and after the end, for all or for any, with and without a limit."""

import signal
import time

from harness import Client, ProcdTest, lives, time_limit, wait_for_file, wait_until

SH = '/bin/sh'


class WaitTest(ProcdTest):
    def setUp(self):
        super().setUp()
        self.c = self.client()

    def sleeper(self, **params):
        return self.c.spawn('/bin/sleep', '1000', **params)['id']


class Waiting(WaitTest):
    def test_many_waiters(self):
        process = self.sleeper()
        clients = [self.client() for _ in range(50)]
        numbers = [[client.request('wait', {'processes': [process]}) for _ in range(4)] for client in clients]
        self.c.call('terminate', processes=[process])
        for client, requests in zip(clients, numbers):
            for number in requests:
                result = client.result(number)
                self.assertEqual((result['processes'][0]['exitcode'], result['timed_out']), (-15, False))

    def test_after_the_end(self):
        process = self.c.spawn(SH, '-c', 'exit 5')['id']
        for _ in range(3):
            result = self.c.wait(process)
            self.assertEqual((result['processes'][0]['exitcode'], result['timed_out']), (5, False))
        with Client(self.procd.socket) as other:
            self.assertEqual(other.wait(process)['processes'][0]['exitcode'], 5)

    def test_all(self):
        slow, fast = self.sleeper(), self.c.spawn(SH, '-c', 'exit 3')['id']
        waiting = self.c.request('wait', {'processes': [slow, fast], 'mode': 'all'})
        self.c.wait(fast)
        self.assertTrue(self.c.pending(waiting, 0.1))
        self.c.call('kill', processes=[slow])
        result = self.c.result(waiting)
        self.assertEqual({p['id']: p['exitcode'] for p in result['processes']}, {slow: -9, fast: 3})

    def test_any(self):
        processes = [self.sleeper() for _ in range(5)]
        waiting = self.c.request('wait', {'processes': processes, 'mode': 'any'})
        self.assertTrue(self.c.pending(waiting, 0.1))
        self.c.call('kill', processes=[processes[3]])
        result = self.c.result(waiting)
        self.assertEqual([p['id'] for p in result['processes']], [processes[3]])
        self.assertFalse(result['timed_out'])
        self.assertEqual([p['id'] for p in self.c.wait(*processes, mode='any')['processes']], [processes[3]], 'after the end as well')

    def test_the_same_twice(self):
        process = self.c.spawn('/bin/true')['id']
        result = self.c.wait(process, process)
        self.assertEqual({p['id'] for p in result['processes']}, {process})

    def test_timeout(self):
        slow, fast = self.sleeper(), self.c.spawn('/bin/true')['id']
        self.c.wait(fast)
        begin = time.monotonic()
        result = self.c.wait(slow, fast, timeout=0.3)
        taken = time.monotonic() - begin
        self.assertEqual(([p['id'] for p in result['processes']], result['timed_out']), ([fast], True))
        self.assertGreaterEqual(taken, 0.29)
        self.assertLess(taken, 2)

    def test_zero_polls(self):
        process = self.sleeper()
        begin = time.monotonic()
        result = self.c.wait(process, timeout=0)
        self.assertEqual((result['processes'], result['timed_out']), ([], True))
        self.assertLess(time.monotonic() - begin, 1)
        self.c.call('kill', processes=[process])
        self.c.wait(process)
        result = self.c.wait(process, timeout=0)
        self.assertEqual((len(result['processes']), result['timed_out']), (1, False))

    def test_not_started(self):
        process = self.c.call('create', command=['/bin/true'])['id']
        error = self.c.error('wait', processes=[process])
        self.assertError(error, 'not_started', 1)
        self.assertIn('can only join a started process', error.message)

    def test_by_a_name_that_changes(self):
        process = self.sleeper(name='a')
        waiting = self.c.request('wait', {'processes': ['a']})
        self.c.call('rename', process=process, name='b')
        self.c.call('kill', processes=['b'])
        self.assertEqual(self.c.result(waiting)['processes'][0]['name'], 'b')

    def test_by_a_name_of_several(self):
        processes = {self.sleeper(name='x') for _ in range(3)}
        waiting = self.c.request('wait', {'processes': ['x']})
        self.c.call('terminate', processes=['x'])
        self.assertEqual({p['id'] for p in self.c.result(waiting)['processes']}, processes)

    def test_many_timeouts(self):
        process = self.sleeper()
        numbers = [self.c.request('wait', {'processes': [process], 'timeout': 0.05 + 0.001 * n}) for n in range(200)]
        self.assertTrue(all(self.c.result(number)['timed_out'] for number in numbers))


class WaitersThatDie(WaitTest):
    def test_they_leave_nothing(self):
        process = self.sleeper()
        before = len(self.procd.open_files())
        for _ in range(20):
            client = Client(self.procd.socket)
            for _ in range(10):
                client.request('wait', {'processes': [process]})
            client.request('wait', {'processes': [process], 'timeout': 1000})
            client.close()
        wait_until(lambda: len(self.procd.open_files()) <= before, 5)
        self.c.call('kill', processes=[process])
        self.assertEqual(self.c.wait(process)['processes'][0]['exitcode'], -9)
        self.assertUnhurt()

    def test_procctl_killed_while_it_waits(self):
        process = self.sleeper()
        waiters = [self.procd.popen_ctl('wait', process) for _ in range(5)]
        waiters[0].kill()
        waiters[1].terminate()
        waiters[2].send_signal(signal.SIGINT)
        for waiter in waiters[:3]:
            waiter.wait(20)
        self.assertTrue(self.c.status(process)['alive'], 'waiting is only waiting')
        self.c.call('kill', processes=[process])
        self.assertEqual([waiter.wait(20) for waiter in waiters[3:]], [137, 137])


class Deadlocks(WaitTest):
    def test_a_process_cannot_join_itself(self):
        out = self.path('out')
        for number, words in enumerate(('wait $PROCD_ID', 'wait --timeout 5 $PROCD_ID')):
            target = f'{out}{number}'
            identity = self.spawned('--', 'sh', '-c', f'trap "" TERM; procctl {words} 2>{target}.err; echo $? > {target}')
            self.assertEqual(wait_for_file(target), '1\n', words)
            self.assertNotEqual(open(target + '.err').read(), '')
            self.ok('kill', identity)

    def test_the_kind_of_the_error(self):
        out = self.path('out')
        self.spawned('--', 'sh', '-c', f'procctl wait --json $PROCD_ID > {out}; echo >> {out}')
        self.assertIn('"deadlock"', wait_for_file(out))

    def test_a_grandchild_of_it_neither(self):
        out = self.path('out')
        self.spawned('--', 'sh', '-c', f'(sh -c "procctl wait --json $PROCD_ID > {out}; echo >> {out}"); true')
        self.assertIn('"deadlock"', wait_for_file(out))

    def test_waiting_for_a_process_that_it_owns_is_fine(self):
        identity = self.spawned('--', 'sh', '-c', 'id=$(procctl spawn -q -- sh -c "exit 6"); procctl wait $id')
        self.assertCode(self.ctl('wait', identity), 6)

    def test_without_a_name_it_waits_for_its_own(self):
        out = self.path('out')
        identity = self.spawned('--', 'sh', '-c', f'''procctl spawn -q -- sh -c "sleep 0.2; echo one >> {out}"
            procctl spawn -q -- sh -c "sleep 0.3; echo two >> {out}"; procctl wait; echo $? >> {out}''')
        self.assertCode(self.ctl('wait', identity), 0)
        self.assertEqual(open(out).read(), 'one\ntwo\n0\n')

    @time_limit(90)
    def test_of_an_ended_process_everything_is_known_at_once(self):
        for _ in range(200):
            process = self.c.spawn('/bin/true')
            ended = self.c.wait(process['id'])['processes'][0]
            self.assertEqual((ended['state'], ended['alive'], ended['exitcode']), ('exited', False, 0))
            self.assertFalse(lives(process['pid']))
