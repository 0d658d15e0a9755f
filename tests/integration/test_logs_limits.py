"""Logs are held to their limits while they are written, whatever is done to them and to procd meanwhile."""

import errno
import glob
import os
import signal
import subprocess
import time

from harness import PYTHON, Watched, alone, median, read_text, remove_cgroup, subgroups, time_limit, unsanitized, wait_until
from logs import MEGA, Index, LogsTest, NUMBERS, left_of, numbered, pieces, read_bytes, used_bytes

SH = '/bin/sh'
ENV = {'PATH': '/usr/local/bin:/usr/bin:/bin'}


class Whole(LogsTest):
    """Nothing of a log is lost, repeated or torn by cutting it."""

    @time_limit(120)
    def test_dozens_of_cuts(self):
        for keep in (0, 1, 3):
            with self.subTest(keep=keep):
                process = self.numbers(3_000_000, together=2000, pause=2000, log={'max': MEGA, 'keep': keep})
                log = self.ended(process, deadline=100)['log']
                left = self.assertNumbered(log, 3_000_000)
                self.assertEqual(len(pieces(log)), keep)
                self.assertGreaterEqual(Index(log).cuts, 24)
                self.assertLess(os.path.getsize(log), MEGA)
                self.assertLessEqual(left, (2 * keep + 1) * MEGA)

    @time_limit(120)
    def test_every_line_where_all_pieces_are_kept(self):
        process = self.numbers(2_000_000, together=2000, pause=2000, log={'max': MEGA, 'keep': 100})
        log = self.ended(process, deadline=100)['log']
        self.assertEqual(self.assertNumbered(log, 2_000_000), 42_000_000)
        self.assertEqual(Index(log).first, 0)
        self.assertGreaterEqual(len(pieces(log)), 24)
        self.assertEqual(self.procd.run(['sh', '-c', f"cat $(ls -v -r '{log}'.*[0-9]) '{log}' | md5sum"]).out,
                         self.procd.run(['sh', '-c', f"'{NUMBERS}' 0 2000000 | md5sum"]).out)

    @time_limit(120)
    def test_by_many_writers_at_once(self):
        script = f'for i in 1 2 3 4; do "{NUMBERS}" ${{i}}000000 200000 20 & done; wait'
        process = self.client().spawn(SH, '-c', script, env=ENV, owner='procd', log={'max': MEGA, 'keep': 100})
        log = self.ended(process, deadline=100)['log']
        lines = left_of(log)[0].split(b'\n')
        self.assertEqual(lines.pop(), b'')
        self.assertEqual(sorted(lines), [line for i in (1, 2, 3, 4) for line in numbered(i * 1_000_000, 200_000).splitlines()])

    def test_of_a_stream_without_a_newline(self):
        process = self.client().spawn('/usr/bin/head', '-c', '100000000', '/dev/zero', owner='procd', log={'max': MEGA, 'keep': 1})
        log = self.ended(process)['log']
        text, first = left_of(log)
        self.assertEqual(first + len(text), 100_000_000)
        self.assertEqual(text.count(b'\0'), len(text))
        self.assertLessEqual(len(text), 3 * MEGA)
        self.assertLess(os.path.getsize(log), MEGA)


class Torrent(LogsTest):
    @alone
    @time_limit(120)
    def test_a_gigabyte_in_a_few_seconds(self):
        count = 50_000_000
        process = self.numbers(count)
        log, most = process['log'], 0
        with Watched(process['pid']) as child:
            while not child.ended(0.005):
                most = max(most, used_bytes(log))
        self.ended(process, deadline=100)
        self.assertNumbered(log, count)
        self.assertLess(os.path.getsize(log), 16 * MEGA)
        self.assertEqual(len(pieces(log)), 1)
        self.assertLessEqual(os.path.getsize(log + '.1'), 32 * MEGA)
        print(f'a gigabyte: the file took {most / MEGA:.0f} MiB at most, cut {Index(log).cuts} times')
        # 16 MiB, and what is written while nobody looks and while a cut is under way: on a machine that is
        # busy with other things that may be long.
        self.assertLess(most, 512 * MEGA)


class InMemory(LogsTest):
    settings = {'started': False}

    @time_limit(120)
    def test_by_holes(self):
        self.memory(self.procd.log_dir, 'size=64m')
        self.procd.start()
        for keep in (0, 3):
            process = self.numbers(3_000_000, together=200, log={'max': MEGA, 'keep': keep})
            log = self.ended(process, deadline=100)['log']
            self.assertNumbered(log, 3_000_000)
            self.assertEqual(len(pieces(log)), keep)
            self.assertEqual(os.path.getsize(log), 63_000_000)
            self.assertLess(used_bytes(log), MEGA + 8192)

    def test_full(self):
        self.memory(self.procd.log_dir, 'size=2m')
        self.procd.start()
        for _ in range(2):
            process = self.numbers(1_000_000)  # 21 MB, and the limit is far
            self.assertIn(self.client().wait(process['id'])['processes'][0]['exitcode'], (errno.ENOSPC, 99))
            wait_until(lambda: 'no space is left for logs' in read_text(self.procd.stderr_path))
        alive = self.client().spawn('/bin/sleep', '1000', owner='procd', stdio={'stdout': 'null', 'stderr': 'null'})
        self.assertUnhurt()
        self.assertEqual(read_text(self.procd.stderr_path).count('no space'), 1, read_text(self.procd.stderr_path))
        # There is room again.
        self.client().call('close', processes=[p['id'] for p in self.procd.list() if p['id'] != alive['id']])
        wait_until(lambda: os.statvfs(self.procd.log_dir).f_bavail > 100)
        process = self.ended(self.numbers(1000))
        self.assertNumbered(process['log'], 1000)

    def test_pieces_that_do_not_fit(self):
        self.memory(self.procd.log_dir, 'size=3m')
        self.procd.start()
        with open(os.path.join(self.procd.log_dir, 'ballast'), 'wb') as f:
            f.write(bytes(MEGA))
        process = self.numbers(1_000_000, together=20, log={'max': MEGA, 'keep': 100})
        answer = self.client().wait(process['id'], timeout=50)
        # A piece that does not fit is lost, not the log; a writer that is too fast may meet the end of the disk.
        self.assertIn(answer['processes'][0]['exitcode'], (0, errno.ENOSPC, 99))
        self.let_go(process['log'])
        self.assertLess(used_bytes(process['log']), MEGA + 8192)
        self.assertUnhurt()

    def test_read_only(self):
        self.memory(self.procd.log_dir, 'size=2m')
        self.procd.start()
        subprocess.run(['mount', '-o', 'remount,ro', self.procd.log_dir], check=True)
        error = self.client().error('spawn', command=['/bin/true'], log={})
        self.assertEqual(error.kind, 'exec_failed')
        self.assertIn(self.procd.log_dir, error.message)
        self.assertIn('Read-only', error.message)
        self.client().spawn('/bin/true', stdio={'stdout': 'null', 'stderr': 'null'})


class UnderItsFeet(LogsTest):
    """The name of a log is only a name."""

    def chatty(self):
        return self.client().spawn(SH, '-c', f'while "{NUMBERS}" 0 5000; do sleep 0.02; done', env=ENV, owner='procd',
                                   log={'max': 65536, 'keep': 2})

    def check(self, change):
        victim = self.path('victim')
        with open(victim, 'w') as f:
            f.write('not yours\n')
        process = self.chatty()
        log = process['log']
        wait_until(lambda: Index(log).cuts >= 2)
        fd = os.open(log, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        os.unlink(log)
        change(log, victim)
        # It is held to its limit by its descriptor, and is cut again and again.
        for _ in range(5):
            wait_until(lambda: os.fstat(fd).st_size > 100_000)
            wait_until(lambda: os.fstat(fd).st_size < 65536)
        self.assertEqual(read_text(victim), 'not yours\n')
        self.assertEqual(os.stat(victim).st_uid, os.geteuid())
        self.client().call('kill', processes=[process['id']])
        self.client().wait(process['id'])
        self.client().call('close', processes=[process['id']])
        self.assertUnhurt()
        self.assertEqual(read_text(victim), 'not yours\n')

    def test_deleted(self):
        self.check(lambda log, victim: None)

    def test_a_symbolic_link(self):
        self.check(lambda log, victim: os.symlink(victim, log))

    def test_a_hard_link(self):
        self.check(lambda log, victim: os.link(victim, log))

    def test_a_directory(self):
        self.check(lambda log, victim: os.mkdir(log))

    def test_all_of_them_deleted(self):
        def delete(log, _victim):
            for path in (log + '.1', log + '.2', log + '.index'):
                os.unlink(path)
        self.check(delete)

    def test_a_log_that_truncates_itself(self):
        process = self.client().spawn(SH, '-c', f'"{NUMBERS}" 0 10000; : > /dev/stderr; "{NUMBERS}" 0 10000; : > /dev/stderr; echo end',
                                      env=ENV, owner='procd', log={'max': 65536, 'keep': 2})
        log = self.ended(process)['log']
        index = Index(log)
        self.assertEqual(read_bytes(log)[index.start - index.base:], b'end\n')
        self.assertEqual(index.sequence % 2, 0)


class WithoutProcd(LogsTest):
    def forget_groups(self):
        """Those of a procd that was killed and cannot remove them."""
        if self.procd.cgroup:
            for name in subgroups(self.procd.cgroup):
                remove_cgroup(os.path.join(self.procd.cgroup, name))

    def test_stopped(self):
        """A child writes on at full speed while procd is stopped, and its log is cut afterwards."""
        process = self.numbers(0)
        self.ended(process)
        script = f'read go; "{NUMBERS}" 0 4000000; echo done >&2'
        reader, writer = os.pipe()
        out, done = os.pipe()
        for fd in (reader, writer, out, done):
            self.addCleanup(os.close, fd)
        process = self.client().spawn(SH, '-c', script, _fds=[reader, done], env=ENV, owner='procd',
                                      stdio={'stdin': {'fd': 0}, 'stdout': 'log', 'stderr': {'fd': 1}},
                                      log={'max': MEGA, 'keep': 1})
        self.procd.signal(signal.SIGSTOP)
        try:
            os.write(writer, b'go\n')
            self.assertEqual(os.read(out, 100), b'done\n')
            self.assertEqual(os.path.getsize(process['log']), 84_000_000)
        finally:
            self.procd.signal(signal.SIGCONT)
        self.ended(process)
        self.assertNumbered(process['log'], 4_000_000)
        self.assertLess(os.path.getsize(process['log']), MEGA)

    def test_killed(self):
        reader, writer = os.pipe()
        for fd in (reader, writer):
            self.addCleanup(os.close, fd)
        process = self.client().spawn(SH, '-c', f'trap "echo pipe" PIPE; "{NUMBERS}" 0 100000; read go; exec "{NUMBERS}" 100000 2000000',
                                      _fds=[reader], env=ENV, owner='procd', stdio={'stdin': {'fd': 0}}, log={'max': 0})
        log = process['log']
        wait_until(lambda: os.path.getsize(log) == 2_100_000)
        self.procd.exit_expected = False
        with Watched(process['pid']) as child:
            self.procd.signal(signal.SIGKILL)
            self.procd.await_exit()
            os.write(writer, b'go\n')
            self.assertTrue(child.ended(50))
        self.assertNumbered(log, 2_100_000)
        self.forget_groups()

    @staticmethod
    def left_in_the_middle(log):
        """Pieces and file in their order. Killed while they were renamed, their numbers have a gap; killed between that and
        the cut, the newest piece is still the head of the file, too, and the index is odd."""
        numbers = [int(path[len(log) + 1:]) for path in glob.glob(glob.escape(log) + '.*') if path[len(log) + 1:].isdigit()]
        parts = [read_bytes(f'{log}.{number}') for number in sorted(numbers, reverse=True)]
        file = read_bytes(log)
        if Index(log).sequence % 2 and parts and file.startswith(parts[-1]):
            parts.pop()
        return b''.join(parts) + file

    @time_limit(120)
    def test_killed_in_the_middle_of_a_cut(self):
        """Whatever procd was about to do, each line is there once, or it is half a copy that no one reads."""
        for attempt in range(10):
            if attempt:
                self.procd.start()
            process = self.numbers(1_500_000, together=2000, pause=500, log={'max': MEGA, 'keep': 100})
            log = process['log']
            self.procd.exit_expected = False
            with Watched(process['pid']) as child:
                # While a copy is being made, where that can be hit.
                wait_until(lambda: os.path.exists(log + '.1.part') or Index(log).cuts > 5)
                self.procd.signal(signal.SIGKILL)
                self.procd.await_exit()
                self.assertTrue(child.ended(50))
            text = self.left_in_the_middle(log)
            expected = numbered(0, 1_500_000)
            self.assertTrue(text == expected, f'attempt {attempt}: {len(text)} bytes, not {len(expected)}')
            self.forget_groups()


class Quiet(LogsTest):
    @staticmethod
    def switches(pid):
        """How often its threads were woken up."""
        total = 0
        for thread in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{thread}/status') as f:
                total += sum(int(line.split()[1]) for line in f if 'ctxt_switches' in line)
        return total

    @alone
    def test_an_idle_log_costs_no_wake_up(self):
        client = self.client()
        processes = [client.spawn(SH, '-c', 'echo hello; exec sleep 1000', env=ENV, owner='procd') for _ in range(50)]
        for process in processes:
            wait_until(lambda: os.path.getsize(process['log']) > 0)

        def quiet():
            before = self.switches(self.procd.pid)
            time.sleep(1)
            return self.switches(self.procd.pid) == before
        wait_until(quiet, 30, 'a second without a wake-up')

    @alone
    @unsanitized
    @time_limit(120)
    def test_two_hundred_chatty_children(self):
        client = self.client()

        def latency():
            times = []
            for _ in range(100):
                begin = time.monotonic()
                client.status(first['id'])
                times.append(time.monotonic() - begin)
            return median(times)
        first = client.spawn('/bin/sleep', '1000', owner='procd')
        before = latency()
        script = 'import time\nwhile True: print("x" * 999, flush=True); time.sleep(0.05)'
        processes = [client.spawn(PYTHON, '-I', '-S', '-c', script, owner='procd', log={'max': 65536, 'keep': 1}) for _ in range(200)]
        wait_until(lambda: all(Index(p['log']).cuts > 0 for p in processes), 60, 'each log to be cut')
        after = latency()
        print(f'status: {before * 1e3:.2f} ms alone, {after * 1e3:.2f} ms beside 200 chatty children')
        self.assertLess(after, max(10 * before, 0.010))
        self.assertTrue(all(os.path.getsize(p['log']) < 4 * 65536 for p in processes))
