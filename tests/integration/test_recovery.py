"""A procd that is killed, and the next one on its socket."""

import json
import os
import signal
import subprocess
import time

from harness import ProcdTest, Watched, lives, wait_for_file, wait_until

SH = '/bin/sh'
ENV = {'PATH': '/usr/bin:/bin'}


class RecoveryTest(ProcdTest):
    def touch(self, name):
        with open(self.path(name), 'w'):
            pass

    def restart(self, *options):
        """Killed in the middle of whatever it does, and started again."""
        self.procd.process.kill()
        self.procd.process.wait()
        self.procd.warm = False
        self.procd.start(*options)

    def spawn(self, script, client=None, **params):
        params.setdefault('owner', 'procd')
        return (client or self.client()).spawn(SH, '-c', script, env=ENV, **params)

    def watch(self, process):
        watched = Watched(process['pid'])
        self.addCleanup(watched.close)
        return watched


class TakesBack(RecoveryTest):
    def test_what_lives_with_all_that_was_known_of_it(self):
        before = self.spawn('exec sleep 1000', name='it/ é', daemon=True, grace=3)
        self.restart()
        after = self.client().status(before['id'])
        for field in ('id', 'name', 'pid', 'daemon', 'owner', 'fate', 'command', 'cwd', 'created', 'started', 'log', 'state'):
            self.assertEqual(after[field], before[field], field)
        self.assertTrue(after['alive'])

    def test_and_ends_it_as_its_own(self):
        it = self.spawn('sleep 1000 & exec sleep 1001')
        watched = self.watch(it)
        self.restart()
        c = self.client()
        c.call('terminate', processes=[it['id']], wait=True)
        ended = c.status(it['id'])
        self.assertEqual((ended['state'], ended['exitcode']), ('exited', -15))
        self.assertTrue(watched.ended())

    def test_who_ends_later_gives_its_code(self):
        it = self.spawn('while [ ! -e %s ]; do sleep 0.02; done; exit 7' % self.path('go'))
        self.restart()
        c = self.client()
        waiting = c.request('wait', dict(processes=[it['id']]))
        self.touch('go')
        ended = c.result(waiting)['processes'][0]
        self.assertEqual((ended['exitcode'], ended['result']['how']), (7, 'exited'))

    def test_who_ended_meanwhile_gives_it_or_says_that_it_is_lost(self):
        it = self.spawn('while [ ! -e %s ]; do sleep 0.02; done; exit 7' % self.path('go'))
        watched = self.watch(it)
        self.procd.process.kill()
        self.procd.process.wait()
        self.touch('go')
        watched.await_end()
        self.procd.warm = False
        self.procd.start()
        ended = self.client().call('wait', processes=[it['id']])['processes'][0]
        self.assertIn((ended['result']['how'], ended['exitcode']), (('exited', 7), ('lost', None)))

    def test_a_wait_is_asked_again(self):
        it = self.spawn('exec sleep 0.5')
        c = self.client()
        c.request('wait', dict(processes=[it['id']]))
        self.restart()
        ended = self.client().call('wait', processes=[it['id']])['processes'][0]
        self.assertEqual(ended['state'], 'exited')

    def test_an_ended_one_keeps_its_record(self):
        c = self.client()
        it = self.spawn('exit 5', name='done')
        c.call('wait', processes=[it['id']])
        self.restart()
        self.assertEqual(self.client().status('done')['exitcode'], 5)

    def test_a_created_one_is_started_later(self):
        c = self.client()
        it = c.call('create', command=[SH, '-c', 'echo "$X"; umask; exit 3'], name='later', owner='procd',
                    env={**ENV, 'X': 'a b'}, umask='077')
        self.restart()
        c = self.client()
        self.assertEqual(c.status('later')['state'], 'initial')
        c.call('start', process=it['id'])
        ended = c.call('wait', processes=[it['id']])['processes'][0]
        self.assertEqual(ended['exitcode'], 3)
        with open(ended['log']) as f:
            self.assertEqual(f.read(), 'a b\n0077\n')

    def test_a_created_one_whose_descriptors_are_gone_says_so(self):
        c = self.client()
        with open('/dev/null') as null:
            it = c.call('create', command=['/bin/true'], owner='procd', fds=[0], _fds=(null.fileno(),))
        self.restart()
        c = self.client()
        error = c.error('start', process=it['id'])
        self.assertEqual(error.kind, 'exec_failed')
        self.assertIn('ended with the procd that held them', str(error))

    def test_numbers_are_never_used_again(self):
        c = self.client()
        first = self.spawn('exec sleep 1000')
        gone = self.spawn('exit 0')
        c.call('wait', processes=[gone['id']])
        c.call('close', processes=[gone['id']])
        session = c.call('session')['session']
        self.restart()
        c = self.client()
        self.assertGreater(int(c.call('session')['session'][1:]), int(session[1:]))
        third = self.spawn('exec sleep 1000', client=c)
        self.assertGreater(third['id'], gone['id'])
        self.assertEqual(first['name'].replace(first['name'].split('-')[1], ''), 'Process-')
        self.assertEqual(int(third['name'].split('-')[1]), int(first['name'].split('-')[1]) + 2, 'names count on')

    def test_after_an_orderly_stop_too(self):
        it = self.spawn('exit 4', name='once')
        self.client().call('wait', processes=[it['id']])
        self.procd.stop()
        self.procd.warm = False
        self.procd.start()
        c = self.client()
        self.assertEqual(c.status('once')['exitcode'], 4)
        self.assertGreater(self.spawn('exit 0', client=c)['id'], it['id'])

    def test_its_log_is_read_on(self):
        it = self.spawn('echo one; while [ ! -e %s ]; do sleep 0.02; done; echo two' % self.path('go'), name='talks')
        wait_until(lambda: open(it['log']).read() == 'one\n')
        self.restart()
        self.touch('go')
        self.client().call('wait', processes=[it['id']])
        self.assertEqual(self.ctl('logs', 'talks').out, 'one\ntwo\n')

    def test_and_held_to_its_limit(self):
        it = self.spawn('while [ ! -e %s ]; do sleep 0.02; done; yes | head -c 3000000; sleep 1000' % self.path('go'),
                        log={'max': 65536, 'keep': 0})
        self.restart()
        self.touch('go')
        wait_until(lambda: os.stat(it['log']).st_size > 0)
        wait_until(lambda: os.stat(it['log']).st_blocks * 512 <= 3 * 65536 and os.path.exists(it['log'] + '.index'), 5,
                   lambda: f'{os.stat(it["log"]).st_blocks * 512} bytes')

    def test_what_it_left_behind_is_ended_still(self):
        self.need_cgroup()
        it = self.spawn('(setsid sleep 1000 &) ; while [ ! -e %s ]; do sleep 0.02; done' % self.path('go'))
        self.restart()
        self.touch('go')
        ended = self.client().call('wait', processes=[it['id']])['processes'][0]
        self.assertEqual(ended['exitcode'], 0)

    def test_who_stayed_in_the_session_of_a_main_that_ended_meanwhile(self):
        it = self.spawn('sleep 1000 & echo $! > %s; while [ ! -e %s ]; do sleep 0.02; done' % (self.path('left'), self.path('go')))
        left = int(wait_for_file(self.path('left')))
        main = self.watch(it)
        self.procd.process.kill()
        self.procd.process.wait()
        self.touch('go')
        main.await_end()
        self.procd.warm = False
        self.procd.start()
        self.client().call('wait', processes=[it['id']])
        self.assertFalse(lives(left))

    def test_a_grace_goes_on(self):
        it = self.spawn('trap "" TERM; echo ready; while :; do sleep 0.1; done', grace=1)
        wait_until(lambda: open(it['log']).read() == 'ready\n')
        begin = time.monotonic()
        self.client().call('terminate', processes=[it['id']])
        self.restart()
        ended = self.client().call('wait', processes=[it['id']])['processes'][0]
        taken = time.monotonic() - begin
        self.assertEqual(ended['exitcode'], -9)
        self.assertGreaterEqual(taken, 0.95)
        self.assertLess(taken, 4)


class Owners(RecoveryTest):
    def test_connections_and_sessions_have_vanished(self):
        c = self.client()
        session = c.call('session')['session']
        pairs = []
        for owner in ('connection', {'session': session}):
            pairs.append((self.spawn('exec sleep 1000', client=c, owner=owner, daemon=True),
                          self.spawn('exec sleep 1000', client=c, owner=owner)))
        watched = [self.watch(daemon) for daemon, _ in pairs]
        self.restart()
        begin = time.monotonic()
        for each in watched:
            each.await_end()
        self.assertLess(time.monotonic() - begin, 1)
        c = self.client()
        for daemon, other in pairs:
            self.assertEqual(c.call('wait', processes=[daemon['id']])['processes'][0]['result']['cause'], 'owner')
            other = c.status(other['id'])
            self.assertEqual((other['alive'], other['owner']['kind']), (True, 'procd'))
            self.assertTrue(other['owner']['was'])

    def test_a_pid_that_lives_is_watched_on(self):
        owner = self.procd.popen('sleep', '1000')
        it = self.spawn('exec sleep 1000', owner={'pid': owner.pid}, daemon=True)
        self.restart()
        self.assertEqual(self.client().status(it['id'])['owner']['pid'], owner.pid)
        owner.kill()
        self.assertEqual(self.client().call('wait', processes=[it['id']])['processes'][0]['result']['cause'], 'owner')

    def test_a_pid_that_died_meanwhile_has_ended(self):
        owner = self.procd.popen('sleep', '1000')
        it = self.spawn('exec sleep 1000', owner={'pid': owner.pid}, daemon=True)
        self.procd.process.kill()
        self.procd.process.wait()
        owner.kill()
        owner.wait()
        self.procd.warm = False
        self.procd.start()
        self.assertEqual(self.client().call('wait', processes=[it['id']])['processes'][0]['result']['cause'], 'owner')

    def test_a_process_that_died_meanwhile_has_ended(self):
        owner = self.spawn('exec sleep 1000')
        it = self.spawn('exec sleep 1000', owner={'process': owner['id']}, daemon=True)
        kept = self.spawn('exec sleep 1000', owner={'process': owner['id']})
        watched = self.watch(owner)
        self.procd.process.kill()
        self.procd.process.wait()
        os.kill(owner['pid'], signal.SIGKILL)
        watched.await_end()
        self.procd.warm = False
        self.procd.start()
        c = self.client()
        self.assertEqual(c.call('wait', processes=[it['id']])['processes'][0]['result']['cause'], 'owner')
        self.assertEqual(c.status(kept['id'])['owner']['kind'], 'procd')


class Births(RecoveryTest):
    def test_a_start_under_way_is_known_or_ended(self):
        """procd is killed with starts under way: each has a record that is right, or never was."""
        for round_ in range(10):
            c = self.client()
            for number in range(20):
                c.request('spawn', dict(command=['/bin/sleep', '1000'], name=f'r{round_}.{number}', owner='procd'))
            time.sleep(0.002 * round_)
            self.restart()
            c = self.client()
            records = c.call('list')['processes']
            known = {p['pid'] for p in records if p['alive']}
            self.assertEqual(len({p['id'] for p in records}), len(records))
            born = {int(pid) for pid in os.listdir('/proc') if pid.isdigit() and self.is_ours(pid)}
            self.assertLessEqual(born, known, 'each that lives is known')

    def is_ours(self, pid):
        try:
            with open(f'/proc/{pid}/environ', 'rb') as f:
                return f'PROCD_SOCKET={self.procd.socket}'.encode() in f.read().split(b'\0')
        except OSError:
            return False


class Journal(RecoveryTest):
    def journal(self):
        return self.procd.socket + '.journal'

    def killed(self):
        self.procd.process.kill()
        self.procd.process.wait()
        self.procd.warm = False

    def said(self):
        with open(self.procd.stderr_path) as f:
            return f.read()

    def test_is_procds_own(self):
        self.assertEqual(os.stat(self.journal()).st_mode & 0o777, 0o600)

    def test_cut_off_anywhere_costs_the_last_line_at_most(self):
        first = self.spawn('exec sleep 1000', name='first')
        second = self.spawn('exec sleep 1000', name='second')
        self.killed()
        with open(self.journal(), 'rb') as f:
            whole = f.read()
        start = whole.rstrip(b'\n').rfind(b'\n') + 1
        for cut in (start + 1, start + 20, len(whole) - 1):
            with open(self.journal(), 'wb') as f:
                f.write(whole[:cut])
            self.procd.start()
            c = self.client()
            self.assertEqual(c.status('first')['pid'], first['pid'])
            self.assertEqual(c.status('second')['pid'], second['pid'])
            self.assertIn('is torn', self.said())
            self.killed()
        self.procd.start()

    def test_garbage_is_left_out(self):
        it = self.spawn('exec sleep 1000', name='it')
        self.killed()
        with open(self.journal(), 'ab') as f:
            f.write(b'\0\xff garbage\n{}\n' + os.urandom(1000))
        self.procd.start()
        self.assertEqual(self.client().status('it')['pid'], it['pid'])
        self.assertIn('cannot be used', self.said())

    def test_nothing_but_garbage_does_not_keep_procd_from_starting(self):
        self.need_cgroup()
        it = self.spawn('exec sleep 1000', name='it')
        watched = self.watch(it)
        self.killed()
        with open(self.journal(), 'wb') as f:
            f.write(os.urandom(4096))
        self.procd.start()
        watched.await_end()  # nobody knows whose it was

    def test_of_another_boot(self):
        self.need_cgroup()  # else nothing leads to what is not written down
        self.spawn('exec sleep 1000', name='it')
        done = self.spawn('exit 6', name='done')
        self.client().call('wait', processes=[done['id']])
        self.killed()
        with open(self.journal(), 'rb') as f:
            lines = f.read().splitlines()
        header = json.loads(lines[0].split(b' ', 2)[2])
        header['boot'] = '00000000-0000-0000-0000-000000000000'
        lines[0] = checked(b'journal ' + json.dumps(header).encode())
        with open(self.journal(), 'wb') as f:
            f.write(b'\n'.join(lines) + b'\n')
        self.procd.start()
        c = self.client()
        lost = c.call('wait', processes=['it'])['processes'][0]
        self.assertEqual((lost['result']['how'], lost['exitcode']), ('lost', None))
        self.assertEqual(c.status('done')['exitcode'], 6)

    def test_of_a_newer_version_is_put_aside(self):
        self.need_cgroup()  # else nothing leads to what is not written down
        self.spawn('exec sleep 1000', name='it')
        self.killed()
        with open(self.journal(), 'rb') as f:
            lines = f.read().splitlines()
        header = json.loads(lines[0].split(b' ', 2)[2])
        header.update(version=99, readable_by=98)
        lines[0] = checked(b'journal ' + json.dumps(header).encode())
        with open(self.journal(), 'wb') as f:
            f.write(b'\n'.join(lines) + b'\n')
        self.procd.start()
        self.assertIn('of a newer procd', self.said())
        self.assertTrue(os.path.exists(self.journal() + '.version-99'))

    def test_of_somebody_else_is_not_believed(self):
        self.need_cgroup()
        if os.geteuid() != 0:
            self.skipTest('needs root')
        self.spawn('exec sleep 1000', name='it')
        self.killed()
        os.chown(self.journal(), 65534, 65534)
        self.procd.start()
        self.assertIn("is not procd's own", self.said())
        self.assertError(self.client().error('status', process='it'), 'no_such_process', 1)

    def test_none_where_none_is_wanted(self):
        self.procd.stop()
        os.unlink(self.journal())
        self.procd.options = ['--no-journal']
        self.procd.start()
        self.spawn('exit 0')
        self.assertFalse(os.path.exists(self.journal()))

    def test_is_written_again_where_it_was_removed(self):
        it = self.spawn('exec sleep 1000', name='it')
        os.unlink(self.journal())
        wait_until(lambda: os.path.exists(self.journal()))
        self.restart()
        self.assertEqual(self.client().status('it')['pid'], it['pid'])

    def test_stays_small(self):
        c = self.client()
        for _ in range(40):
            ids = [c.spawn('/bin/true', owner='procd', stdio={'stdout': 'null', 'stderr': 'null'})['id'] for _ in range(50)]
            c.call('wait', processes=ids)
            c.call('close', processes=ids)
        self.assertLess(os.stat(self.journal()).st_size, 3 << 20)
        self.restart()
        self.assertGreater(self.spawn('exit 0')['id'], ids[-1])


def checked(content):
    total = 0xcbf29ce484222325
    for byte in content:
        total = ((total ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    return b'%016x ' % total + content
