"""Where a process reads from and writes to."""

import os
import select
import time

from harness import PYTHON, ProcdTest, read_text

SH = '/bin/sh'
PATH = {'PATH': '/usr/local/bin:/usr/bin:/bin'}


class StdioTest(ProcdTest):
    def setUp(self):
        super().setUp()
        self.c = self.client()

    def pipe(self):
        reader, writer = os.pipe()
        self.addCleanup(self.shut, reader)
        self.addCleanup(self.shut, writer)
        return reader, writer

    @staticmethod
    def shut(fd):
        try:
            os.close(fd)
        except OSError:
            pass

    def read_all(self, fd, deadline=20):
        """Everything until the other end is closed."""
        end, data = time.monotonic() + deadline, b''
        while True:
            self.assertTrue(select.select([fd], [], [], max(0, end - time.monotonic()))[0], f'no end of the pipe; so far {data!r}')
            chunk = os.read(fd, 65536)
            if not chunk:
                return data.decode()
            data += chunk

    def shell(self, script, **params):
        return self.c.spawn(SH, '-c', script, env=PATH, **params)


class Logs(StdioTest):
    def test_default_is_a_log_in_the_order_written(self):
        process = self.shell('echo one; echo two >&2; echo three; readlink /proc/self/fd/0; exit 0')
        ended = self.c.wait(process['id'])['processes'][0]
        self.assertTrue(ended['log'].startswith(self.procd.log_dir + '/'), ended['log'])
        self.assertEqual(read_text(ended['log']), 'one\ntwo\nthree\n/dev/null\n')
        self.assertEqual(process['log'], ended['log'])

    def test_of_procctl(self):
        identity = self.spawned('--', 'sh', '-c', 'echo hello; echo "$(readlink /proc/self/fd/0)"')
        self.ok('wait', identity)
        self.assertEqual(read_text(self.ctl('status', '--json', identity).json['log']), 'hello\n/dev/null\n')

    def test_each_has_its_own(self):
        processes = [self.shell(f'echo {n}', name='same') for n in range(3)]
        self.c.wait(*(p['id'] for p in processes))
        self.assertEqual([read_text(p['log']) for p in processes], ['0\n', '1\n', '2\n'])

    def test_opened_to_append(self):
        process = self.shell('grep flags /proc/self/fdinfo/1')
        self.c.wait(process['id'])
        self.assertTrue(int(read_text(process['log']).split()[1], 8) & os.O_APPEND)

    def test_mode(self):
        process = self.shell('exit 0')
        self.c.wait(process['id'])
        self.assertEqual(os.stat(process['log']).st_mode & 0o007, 0)

    def test_none_where_nothing_is_logged(self):
        process = self.shell('echo hello', stdio={'stdout': 'null', 'stderr': 'null'})
        self.assertIsNone(self.c.wait(process['id'])['processes'][0]['log'])

    def test_stderr_with_stdout(self):
        reader, writer = self.pipe()
        self.shell('echo out; echo err >&2', _fds=[writer], stdio={'stdout': {'fd': 0}, 'stderr': 'stdout'})
        os.close(writer)
        self.assertEqual(self.read_all(reader), 'out\nerr\n')

    def test_a_missing_member_is_the_default(self):
        reader, writer = self.pipe()
        process = self.shell('echo out; echo err >&2; readlink /proc/self/fd/0', _fds=[writer], stdio={'stdout': {'fd': 0}})
        os.close(writer)
        self.assertEqual(self.read_all(reader), 'out\n/dev/null\n')
        self.c.wait(process['id'])
        self.assertEqual(read_text(process['log']), 'err\n')


class Descriptors(StdioTest):
    def test_all_three(self):
        in_reader, in_writer = self.pipe()
        out_reader, out_writer = self.pipe()
        err_reader, err_writer = self.pipe()
        self.shell('cat; echo err >&2', _fds=[err_writer, in_reader, out_writer],
                   stdio={'stdin': {'fd': 1}, 'stdout': {'fd': 2}, 'stderr': {'fd': 0}})
        for fd in (in_reader, out_writer, err_writer):
            os.close(fd)
        os.write(in_writer, b'through\n')
        os.close(in_writer)
        self.assertEqual(self.read_all(out_reader), 'through\n')
        self.assertEqual(self.read_all(err_reader), 'err\n')

    def test_procd_keeps_no_copy(self):
        reader, writer = self.pipe()
        process = self.c.spawn('/bin/sleep', '1000', _fds=[writer], stdio={'stdout': {'fd': 0}})
        os.close(writer)
        self.c.call('kill', processes=[process['id']])
        self.assertEqual(self.read_all(reader), '')
        reader, writer = self.pipe()
        process = self.shell('exec 3>&-; exec sleep 1000', _fds=[writer], fds=[0])
        os.close(writer)
        self.assertEqual(self.read_all(reader), '', 'while it runs')
        self.assertTrue(self.c.status(process['id'])['alive'])

    def test_created_now_and_started_later(self):
        reader, writer = self.pipe()
        process = self.c.call('create', [writer], command=[SH, '-c', 'echo late'], env=PATH, stdio={'stdout': {'fd': 0}})
        os.close(writer)
        self.c.call('start', process=process['id'])
        self.assertEqual(self.read_all(reader), 'late\n')

    def test_further_ones_land_at_3_and_on(self):
        first_reader, first_writer = self.pipe()
        second_reader, second_writer = self.pipe()
        self.shell('echo three >&3; echo four >&4', _fds=[second_writer, first_writer], fds=[1, 0])
        os.close(first_writer)
        os.close(second_writer)
        self.assertEqual(self.read_all(first_reader), 'three\n')
        self.assertEqual(self.read_all(second_reader), 'four\n')

    def test_the_same_one_several_times(self):
        reader, writer = self.pipe()
        self.shell('echo 1; echo 2 >&2; echo 3 >&3; echo 4 >&4', _fds=[writer], fds=[0, 0], stdio={'stdout': {'fd': 0}, 'stderr': {'fd': 0}})
        os.close(writer)
        self.assertEqual(self.read_all(reader), '1\n2\n3\n4\n')

    def test_nothing_else_is_open(self):
        rivals = [self.client() for _ in range(5)]
        other = self.c.spawn('/bin/sleep', '1000')
        reader, writer = self.pipe()
        self.c.spawn(PYTHON, '-c', 'import os; print(sorted(int(n) for n in os.listdir("/proc/self/fd")))', _fds=[writer] * 20, fds=[0],
                     stdio={'stdout': {'fd': 1}})
        os.close(writer)
        # The last one is the directory itself.
        self.assertEqual(self.read_all(reader), '[0, 1, 2, 3, 4]\n')
        self.assertEqual(len(rivals), 5)
        self.assertTrue(self.c.status(other['id'])['alive'])

    def test_passed_and_not_copied(self):
        path = self.path('file')
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        process = self.shell('echo hello', _fds=[fd], stdio={'stdout': {'fd': 0}})
        self.c.wait(process['id'])
        self.assertEqual(os.lseek(fd, 0, os.SEEK_CUR), 6, 'the same open file')
        os.close(fd)


class Files(StdioTest):
    def test_files(self):
        with open(self.path('in'), 'w') as f:
            f.write('input\n')
        with open(self.path('out'), 'w') as f:
            f.write('something much longer from before\n')
        process = self.shell('cat; echo err >&2', cwd=self.dir, stdio={
            'stdin': {'file': 'in'}, 'stdout': {'file': 'out'}, 'stderr': {'file': self.path('err')}})
        self.c.wait(process['id'])
        self.assertEqual(read_text(self.path('out')), 'input\n')
        self.assertEqual(read_text(self.path('err')), 'err\n')

    def test_append(self):
        for n in range(3):
            self.c.wait(self.shell(f'echo {n}', cwd=self.dir, stdio={'stdout': {'file': 'out', 'append': True}})['id'])
        self.assertEqual(read_text(self.path('out')), '0\n1\n2\n')

    def test_not_there(self):
        error = self.c.error('spawn', command=['/bin/true'], stdio={'stdin': {'file': '/nonexistent'}})
        self.assertError(error, 'exec_failed', 1)
        self.assertEqual(error.data['errno'], 2)
        error = self.c.error('spawn', command=['/bin/true'], stdio={'stdout': {'file': self.dir}})
        self.assertError(error, 'exec_failed', 1)
        self.assertEqual(error.data['errno'], 21)

    def test_null(self):
        process = self.shell('readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >&3', _fds=[os.open(self.path('out'), os.O_WRONLY | os.O_CREAT)], fds=[0],
                             stdio={'stdin': 'null', 'stdout': 'null', 'stderr': 'null'})
        self.c.wait(process['id'])
        # readlink's own stdout is the file at that time; stdin and stderr are seen as they are.
        lines = read_text(self.path('out')).splitlines()
        self.assertEqual((lines[0], lines[2]), ('/dev/null', '/dev/null'))


class InSessions(StdioTest):
    def test_output_goes_to_the_sessions_streams(self):
        outcome = self.ctl('session', '--', 'bash', '-c', '''
            id=$(procctl spawn -q -- sh -c "echo out; echo err >&2")
            echo "id=$id" ; procctl wait $id''')
        self.assertCode(outcome, 0)
        self.assertRegex(outcome.out, r'(?m)^id=\d+$')
        self.assertIn('out\n', outcome.out)
        self.assertEqual(outcome.err, 'err\n')

    def test_capturing_the_id_returns_at_once(self):
        session = self.procd.popen_ctl('session', '--', 'bash', '-c', '''
            id=$(procctl spawn -q -- sh -c "echo started; read x; sleep 1000"); echo captured $id; id2=$(procctl spawn -q -- sleep 1000); echo captured $id2''')
        lines = {self.line(session.stdout).split()[0] for _ in range(3)}
        self.assertEqual(lines, {'started', 'captured'})

    def test_stdin_stays_with_the_script(self):
        outcome = self.ctl('session', '--', 'bash', '-c', 'procctl spawn -q -- sh -c "readlink /proc/self/fd/0" >/dev/null; procctl wait; cat', stdin=b'mine\n')
        self.assertEqual(outcome.out, '/dev/null\nmine\n')

    def test_of_a_process_owned_by_a_process(self):
        outcome = self.ctl('session', '--', 'procctl', 'spawn', '-q', '--', 'sh', '-c', '''
            procctl spawn -q -- sh -c "echo inner; echo inner-err >&2" > /dev/null 2>&1; procctl wait''')
        self.assertCode(outcome, 0)
        self.assertIn('inner\n', outcome.out)
        self.assertIn('inner-err\n', outcome.err)

    def test_the_streams_are_let_go_when_all_is_over(self):
        reader, writer = self.pipe()
        session = self.procd.popen_ctl('session', '--', 'procctl', 'spawn', '-q', '--', 'sh', '-c', 'echo done', stdout=writer)
        os.close(writer)
        self.assertIn('done\n', self.read_all(reader))
        self.assertEqual(session.wait(20), 0)


class Terminals(StdioTest):
    def test_run_on_a_terminal(self):
        script = 'test -t 0 && test -t 1 && test -t 2 && echo all three; (: </dev/tty) 2>/dev/null || echo not controlling; exit 5'
        status, text = self.terminal('run', '--', 'sh', '-c', script)
        self.assertEqual((status, text), (5, 'all three\nnot controlling\n'))

    def test_session_on_a_terminal(self):
        status, text = self.terminal('session', '--', 'procctl', 'spawn', '-q', '--', 'sh', '-c',
                                     'test -t 1 && test -t 2 && echo terminal; (: </dev/tty) 2>/dev/null || echo not controlling')
        self.assertEqual(status, 0)
        self.assertIn('terminal\n', text)
        self.assertIn('not controlling\n', text)


class Runs(StdioTest):
    def test_streams_of_run_are_its_own(self):
        with open(self.path('out'), 'wb') as out:
            program = self.procd.popen_ctl('run', '--', 'sh', '-c', 'cat; readlink /proc/$$/fd/1; echo err >&2', stdout=out)
        program.stdin.write(b'in\n')
        program.stdin.close()
        self.assertEqual(program.wait(20), 0)
        self.assertEqual(read_text(self.path('out')), f'in\n{self.path("out")}\n')
        self.assertEqual(program.stderr.read(), b'err\n')

    def test_a_pipe_of_runs(self):
        outcome = self.procd.sh('seq 100000 | procctl run -- cat | procctl run -- wc -l')
        self.assertEqual((outcome.code, outcome.out.strip()), (0, '100000'))

    def test_closed_streams(self):
        outcome = self.procd.sh('procctl run -- sh -c "exit 4" <&- >&- 2>&-; echo $?')
        self.assertEqual(outcome.out, '4\n')
