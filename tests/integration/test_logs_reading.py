"""Reading logs: procctl logs, and the method logs."""

import base64
import contextlib
import json
import os
import signal

from harness import (
    DEADLINE, Client, Disconnected, ProcdTest, as_root, assert_stays, read_text, subgroups, unsanitized,
    wait_until)

SH = '/bin/sh'


def bytes_of(data):
    return base64.b64decode(data['base64']) if isinstance(data, dict) else data.encode()


class ReadingTest(ProcdTest):
    def fifo(self, name='fifo'):
        path = self.path(name)
        os.mkfifo(path)
        return path

    def talker(self, *options, first='one', name='talker'):
        """A process that logs `first`, and then whatever is written to the stream returned; it ends when that is closed."""
        path = self.fifo(name + '.fifo')
        identity = self.spawned('--name', name, *options, '--', SH, '-c', f'echo {first}; exec cat {path}')
        stream = open(path, 'wb', buffering=0)
        self.addCleanup(stream.close)
        log = self.procd.status(identity)['log']
        if log:
            wait_until(lambda: read_text(log) == first + '\n')
        return identity, stream

    def logged(self, script, *options):
        """The id of a process that has run this script to its end."""
        identity = self.spawned(*options, '--', SH, '-c', script)
        self.procd.await_state(identity)
        return identity

    def threads(self):
        return len(os.listdir(f'/proc/{self.procd.pid}/task'))


class Verb(ReadingTest):
    def test_lines(self):
        identity = self.logged('seq 1 1000; printf end')
        everything = ''.join(f'{i}\n' for i in range(1, 1001)) + 'end'
        self.assertEqual(self.ok('logs', identity).out, everything)
        self.assertEqual(self.ok('logs', '-n', 3, identity).out, '999\n1000\nend')
        self.assertEqual(self.ok('logs', '--lines=1', identity).out, 'end')
        self.assertEqual(self.ok('logs', '-n0', identity).out, '')
        self.assertEqual(self.ok('logs', '-n', 1001, identity).out, everything)
        self.assertEqual(self.ok('logs', '-n', '9' * 30, identity).out, everything)
        self.assertEqual(self.ok('logs', '-f', '-n', 2, identity).out, '1000\nend')

    def test_numbers_of_lines_that_are_none(self):
        identity = self.logged('echo one')
        for wrong in ('-1', 'x', '1x', '', '1.5', '+1'):
            outcome = self.ctl('logs', '-n', wrong, identity)
            self.assertCode(outcome, 2)
            self.assertEqual(outcome.out, '')

    def test_what_has_no_log(self):
        silent = self.spawned('--name', 'silent', '--stdout', 'null', '--stderr', 'null', '--', 'sleep', '1000')
        outcome = self.ctl('logs', 'silent')
        self.assertCode(outcome, 1)
        self.assertEqual(outcome.err, f'procctl: {silent} (silent) has no log: stdout and stderr go to /dev/null\n')
        self.assertEqual(self.ctl('logs', '--json', silent).kind, 'no_log')
        self.assertCode(self.ctl('logs', 'nobody'), 1)
        self.assertEqual(self.ctl('logs', '--json', 'nobody').kind, 'no_such_process')
        created = int(self.ok('create', '-q', '--', 'true').out)
        self.assertEqual(self.ctl('logs', '--json', created).kind, 'not_started')
        script = 'procctl spawn -q --name inside -- sleep 1000; procctl logs inside; echo $? >&2; procctl kill inside'
        outcome = self.ok('session', '--', SH, '-c', script)
        self.assertIn('(inside) has no log: stdout and stderr go to the streams of session s', outcome.err)
        self.assertTrue(outcome.err.endswith('\n1\n'), outcome)

    def test_no_log_for_stderr_alone(self):
        identity = self.logged('echo one')
        outcome = self.ctl('logs', '--stderr', identity)
        self.assertCode(outcome, 1)
        self.assertIn('has no log for stderr alone', outcome.err)

    def test_json(self):
        identity = self.logged(r'echo one; printf "\377\n"')
        lines = [json.loads(line) for line in self.ok('logs', '--json', identity).out.splitlines()]
        self.assertEqual(lines, [{'data': {'base64': 'b25lCv8K'}}, {}])
        self.assertEqual([json.loads(line) for line in self.ok('logs', '--json', '-n', 0, identity).out.splitlines()], [{}])

    def test_a_log_that_is_gone_or_something_else(self):
        identity = self.spawned('--', 'sleep', '1000')
        log = self.procd.status(identity)['log']
        with open(self.path('secret'), 'w') as f:
            f.write('secret\n')

        def refused(why):
            outcome = self.ctl('logs', identity)
            self.assertCode(outcome, 1)
            self.assertEqual((outcome.out, outcome.err), ('', f'procctl: {why}\n'))
        os.unlink(log)
        refused(f'open {log}: No such file or directory')
        os.symlink(self.path('secret'), log)
        refused(f'open {log}: Too many levels of symbolic links')
        os.unlink(log)
        os.mkfifo(log)
        refused(f'read (it is no regular file) {log}: Invalid argument')
        self.assertUnhurt()

    def test_binary_without_newlines(self):
        identity = self.logged('head -c 3000000 /dev/zero; printf "\\n\\000end"')
        program = self.procd.popen_ctl('logs', identity)
        out, err = program.communicate(timeout=DEADLINE)
        self.assertEqual((program.returncode, err), (0, b''))
        self.assertEqual(out, bytes(3000000) + b'\n\0end')
        c = self.client()
        number = c.request('logs', {'process': identity})
        self.assertEqual(c.result(number), {})
        data = b''.join(bytes_of(n['params']['data']) for n in c.notifications)
        self.assertEqual(data, out)


class Follow(ReadingTest):
    def test_each_line_once_it_is_whole_until_the_end(self):
        identity, stream = self.talker()
        follower = self.procd.popen_ctl('logs', '-f', identity)
        self.assertEqual(self.line(follower.stdout), 'one')
        stream.write(b'two\nthr')
        self.assertEqual(self.line(follower.stdout), 'two')
        stream.write(b'ee\nrest')
        self.assertEqual(self.line(follower.stdout), 'three')
        stream.close()
        self.assertEqual(follower.communicate(timeout=DEADLINE), (b'rest', b''))
        self.assertEqual(follower.returncode, 0)

    def test_only_what_comes(self):
        identity, stream = self.talker()
        follower = self.procd.popen_ctl('logs', '-f', '-n', 0, identity)
        wait_until(lambda: 'anon_inode:inotify' in self.files_of(follower.pid))
        stream.write(b'two\n')
        self.assertEqual(self.line(follower.stdout), 'two')

    def files_of(self, pid):
        found = []
        with contextlib.suppress(OSError):
            for name in os.listdir(f'/proc/{pid}/fd'):
                with contextlib.suppress(OSError):
                    found.append(os.readlink(f'/proc/{pid}/fd/{name}'))
        return found

    def test_waits_for_the_whole_tree(self):
        gate = self.fifo()
        identity = self.spawned('--leftovers', 'keep', '--', SH, '-c', f'(read x < {gate}; echo late) & echo early')
        follower = self.procd.popen_ctl('logs', '-f', identity)
        self.assertEqual(self.line(follower.stdout), 'early')
        wait_until(lambda: not self.procd.status(identity)['alive'])
        if self.procd.status(identity)['state'] == 'exited':
            self.skipTest('what it left is not known here')
        assert_stays(lambda: follower.poll() is None, 0.3)
        with open(gate, 'w') as f:
            f.write('\n')
        self.assertEqual(follower.communicate(timeout=DEADLINE), (b'late\n', b''))

    def test_a_reader_that_goes_away_ends_it_quietly(self):
        self.talker()
        outcome = self.procd.sh('procctl logs -f talker | head -n 1; echo ${PIPESTATUS[0]}')
        self.assertEqual((outcome.out, outcome.err), ('one\n1\n', ''))

    def test_interrupt(self):
        self.talker()
        follower = self.procd.popen_ctl('logs', '-f', 'talker')
        self.assertEqual(self.line(follower.stdout), 'one')
        follower.send_signal(signal.SIGINT)
        self.assertEqual(follower.wait(DEADLINE), -signal.SIGINT)

    def test_timeout(self):
        self.talker()
        outcome = self.ctl('logs', '-f', '--timeout', '0.2', 'talker')
        self.assertCode(outcome, 124)
        self.assertEqual(outcome.out, 'one\n')

    def test_the_log_is_removed_meanwhile(self):
        identity, stream = self.talker()
        follower = self.procd.popen_ctl('logs', '-f', identity)
        self.assertEqual(self.line(follower.stdout), 'one')
        os.unlink(self.procd.status(identity)['log'])
        out, err = follower.communicate(timeout=DEADLINE)
        self.assertEqual((out, err), (b'', b'procctl: the log was removed, or is another file by now\n'))
        self.assertEqual(follower.returncode, 0)

    def test_its_writer_truncates_it(self):
        identity, stream = self.talker(first='a-long-first-line')
        follower = self.procd.popen_ctl('logs', '-f', identity)
        self.assertEqual(self.line(follower.stdout), 'a-long-first-line')
        os.truncate(self.procd.status(identity)['log'], 0)
        stream.write(b'two\n')
        self.assertEqual(self.line(follower.stdout), 'two')
        self.assertIn('truncated by its writer', self.line(follower.stderr))

    def test_procd_is_killed_meanwhile(self):
        identity, stream = self.talker()
        follower = self.procd.popen_ctl('logs', '-f', identity)
        self.assertEqual(self.line(follower.stdout), 'one')
        self.procd.exit_expected = False
        self.procd.process.kill()
        self.procd.process.wait()
        self.assertEqual(self.line(follower.stderr), 'procctl: procd is gone: going on with the log until the process has ended')
        stream.write(b'two\n')
        self.assertEqual(self.line(follower.stdout), 'two')
        stream.write(b'rest')
        stream.close()
        self.assertEqual(follower.communicate(timeout=DEADLINE), (b'rest', b''))
        self.assertEqual(follower.returncode, 0)
        for group in sorted(subgroups(self.procd.cgroup) if self.procd.cgroup else [], reverse=True):
            os.rmdir(os.path.join(self.procd.cgroup, group))  # which that procd could not any more

    def test_from_inside_of_the_process_itself(self):
        identity = self.spawned('--', SH, '-c', 'echo one; exec procctl logs -f $PROCD_ID > ' + self.path('out'))
        wait_until(lambda: os.path.exists(self.path('out')) and read_text(self.path('out')) == 'one\n')
        self.assertTrue(self.procd.status(identity)['alive'])


class Wire(ReadingTest):
    def test_follow(self):
        identity, stream = self.talker()
        c = self.client()
        number = c.request('logs', {'process': identity, 'follow': True})
        self.assertEqual(c.notification()['params'], {'request': number, 'data': 'one\n'})
        stream.write(b'two\nthr')
        self.assertEqual(c.notification()['params'], {'request': number, 'data': 'two\n'})
        self.assertTrue(c.pending(number))
        self.assertEqual(c.status(identity)['alive'], True)  # beside it
        stream.write(b'ee')
        stream.close()
        self.assertEqual(c.notification()['params'], {'request': number, 'data': 'three'})
        self.assertEqual(c.result(number), {})

    def test_a_half_closed_client_gets_all(self):
        identity, stream = self.talker()
        with Client(self.procd.socket) as c:
            number = c.request('logs', {'process': identity, 'follow': True})
            c.half_close()
            self.assertEqual(c.notification()['params']['data'], 'one\n')
            stream.write(b'two\n')
            self.assertEqual(c.notification()['params']['data'], 'two\n')
            stream.close()
            self.assertEqual(c.result(number), {})
            with self.assertRaises(Disconnected):
                c.recv()

    def test_clients_that_go_leave_nothing(self):
        identity, stream = self.talker()
        threads, files = self.threads(), self.procd.kinds_of_files()
        clients = [Client(self.procd.socket) for _ in range(20)]
        for c in clients:
            number = c.request('logs', {'process': identity, 'follow': True})
            self.assertEqual(c.notification()['params']['data'], 'one\n')
        self.assertEqual(self.threads(), threads + 20)
        for c in clients:
            c.close()
        wait_until(lambda: self.threads() == threads, message=self.threads)
        wait_until(lambda: not self.procd.kinds_of_files() - files, message=lambda: self.procd.kinds_of_files() - files)

    def test_which_file(self):
        identity, stream = self.talker()
        c = self.client()
        log = self.procd.status(identity)['log']
        status = os.stat(log)
        self.assertEqual(c.call('logs', process=identity, locate=True), {'file': {
            'path': log, 'device': status.st_dev, 'inode': status.st_ino, 'boot_id': c.call('hello')['boot_id']}})

    @unsanitized
    def test_who_does_not_read_holds_nobody_and_nothing(self):
        identity = self.logged('seq 1000000 1999999; seq 1000000 1999999')  # 16 MB
        before = self.procd.resident_bytes()
        lazy, quick = self.client(), self.client()
        number = lazy.request('logs', {'process': identity})
        lazy_status = lazy.request('status', {'process': identity})
        self.assertEqual(lazy.result(lazy_status)['id'], identity)  # not behind the log
        for _ in range(20):
            quick.status(identity)
        self.assertLess(self.procd.resident_bytes() - before, 6 << 20)
        self.assertEqual(lazy.result(number), {})
        data = ''.join(n['params']['data'] for n in lazy.notifications)
        expected = ''.join(f'{i}\n' for i in range(1000000, 2000000))
        self.assertTrue(data == expected + expected, len(data))

    def test_the_most_at_once(self):
        identity, stream = self.talker()
        c = self.client()
        for _ in range(256):
            c.request('logs', {'process': identity, 'follow': True})
        error = c.error('logs', process=identity)
        self.assertError(error, 'limit', 1)
        self.assertEqual(error.message, '256 logs are being read, the most that procd reads at once')
        c.close()
        self.assertUnhurt()

    @as_root
    def test_procctl_where_the_path_means_another_file(self):
        """In a mount namespace of its own there is another file at the log's path: it is not taken for the log."""
        identity, stream = self.talker()
        log = self.procd.status(identity)['log']
        script = ('mount -t tmpfs none "$1" && echo wrong > "$2" && exec procctl logs -f "$3"')
        follower = self.procd.popen('unshare', '-m', '--propagation', 'private', 'sh', '-c', script, 'sh',
                                    os.path.dirname(log), log, identity)
        self.assertEqual(self.line(follower.stdout), 'one')
        stream.write(b'two\n')
        self.assertEqual(self.line(follower.stdout), 'two')
        stream.write(b'rest')
        stream.close()
        self.assertEqual(follower.communicate(timeout=DEADLINE), (b'rest', b''))
        self.assertEqual(follower.returncode, 0)
