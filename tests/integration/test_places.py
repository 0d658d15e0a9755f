"""Where procd listens and writes, and how it says that it is ready."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys

from harness import DEADLINE, PROCCTL_BIN, PROCD_BIN, ProcdTest, as_root, read_text, wait_until

NOBODY = 65534

# As a service manager does it: a listening socket at 3, with the words for it in the environment.
ACTIVATE = '''
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
os.execv(sys.argv[2], sys.argv[2:])
'''


def own_logs(directory):
    """Where the logs of this user are, below a procd's directory of logs."""
    return os.path.join(directory, '0') if os.geteuid() == 0 else directory


class Relative(ProcdTest):
    settings = {'started': False}

    def test_paths_that_clients_are_told_are_absolute(self):
        os.chdir(self.dir)
        self.procd.log_dir = 'logs'
        self.procd.start()
        identity = self.spawned('--', 'true')
        self.ctl('wait', identity)
        self.assertEqual(os.path.dirname(self.procd.status(identity)['log']), own_logs(os.path.join(os.path.realpath(self.dir), 'logs')))


class Journal(ProcdTest):
    """Under systemd each line of procd's log begins with its priority, elsewhere with the time."""

    settings = {'started': False}

    def first_line(self, stream):
        self.procd.env = {'JOURNAL_STREAM': stream}
        self.procd.start()
        return read_text(self.procd.stderr_path).splitlines()[0]

    def test_priorities_in_the_journal(self):
        open(self.procd.stderr_path, 'w').close()
        stream = os.stat(self.procd.stderr_path)
        self.assertTrue(self.first_line(f'{stream.st_dev}:{stream.st_ino}').startswith('<6>ready on '))

    def test_words_about_anothers_stream_are_not_believed(self):
        self.assertRegex(self.first_line('8:12345'), r'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} procd\[\d+\] ready on ')

    def test_nonsense_there_is_no_journal(self):
        self.assertRegex(self.first_line('x'), r'^\d{4}-')


class Places(ProcdTest):
    """A procd that was told no socket, as a user of its own."""

    settings = {'started': False, 'directory_mode': 0o711}

    def setUp(self):
        super().setUp()
        self.program = None
        self.addCleanup(self.end)

    def serve(self, *command, **options):
        reader, writer = os.pipe()
        self.program = subprocess.Popen([*command, '--containment', 'subreaper', '--ready-fd', str(writer)], pass_fds=(writer,),
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        os.close(writer)
        with os.fdopen(reader, 'rb') as ready:
            self.assertEqual(ready.read(), b'\n')  # one newline, and then it is closed

    def end(self):
        if self.program is not None:
            self.program.terminate()
            self.assertEqual(self.program.wait(DEADLINE), 0)
            self.program = None

    def home(self):
        home = self.path('home')
        os.mkdir(home)
        os.chown(home, NOBODY, NOBODY)
        return home

    def as_nobody(self, program, *words, **options):
        copy = self.path(os.path.basename(program))  # which that user may reach
        if not os.path.exists(copy):
            shutil.copy(program, copy)
        return [copy, *words], {'user': NOBODY, 'group': NOBODY, 'extra_groups': [], **options}

    def assertServes(self, environment, path):
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)
        command, options = self.as_nobody(PROCCTL_BIN, 'info', env=environment)
        answer = subprocess.run(command, capture_output=True, text=True, **options)
        self.assertIn(f'socket: {path}\n', answer.stdout, answer.stderr)

    @as_root
    def test_of_a_user(self):
        home = self.home()
        for directory, environment in ((os.path.join(home, 'procd'), {'XDG_RUNTIME_DIR': home, 'HOME': '/nonexistent'}),
                                       (os.path.join(home, '.local/state/procd'), {'HOME': home})):
            environment['XDG_STATE_HOME'] = os.path.join(home, 'state')
            command, options = self.as_nobody(PROCD_BIN, env=environment)
            self.serve(*command, **options)
            self.assertServes(environment, os.path.join(directory, 'procd.sock'))
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(home, 'state/procd/log')).st_mode), 0o700)
            self.end()

    @as_root
    def test_a_server_of_a_stranger_is_not_trusted(self):
        home = self.home()
        command, options = self.as_nobody(PROCD_BIN, '--socket-mode', '0666', env={'HOME': home})
        self.serve(*command, **options)
        path = os.path.join(home, '.local/state/procd/procd.sock')
        answer = subprocess.run([PROCCTL_BIN, '-s', path, 'info'], capture_output=True, text=True)
        self.assertEqual(answer.returncode, 125)
        self.assertIn('not trusted', answer.stderr)

    def test_a_socket_that_was_passed(self):
        path = self.path('passed')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(self.path('notify'))
            manager.settimeout(DEADLINE)
            self.serve(sys.executable, '-c', ACTIVATE, path, PROCD_BIN, '--log-dir', self.procd.log_dir,
                       env={'NOTIFY_SOCKET': self.path('notify'), 'PATH': os.environ['PATH']})
            self.assertEqual(manager.recv(100), b'READY=1\nSTATUS=0 processes')
            answer = subprocess.run([PROCCTL_BIN, '-s', path, 'run', '--', 'sh', '-c', 'env'], capture_output=True, text=True)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertNotRegex(answer.stdout, 'LISTEN|NOTIFY')
            self.assertIn(f'PROCD_SOCKET={path}\n', answer.stdout)
            self.end()
            said = manager.recv(100)
            while said.startswith((b'STATUS=', b'FDSTORE')):  # at most one a second; a pidfd to keep, and no more
                said = manager.recv(100)
            self.assertEqual(said, b'STOPPING=1')
        self.assertTrue(os.path.exists(path), 'it is not procd that made it')

    def test_its_own_socket_goes_with_it(self):
        path = self.path('own/procd.sock')
        self.serve(PROCD_BIN, '--runtime-dir', self.path('own'), env={'PATH': os.environ['PATH']})
        self.assertTrue(os.path.exists(path))
        answer = subprocess.run([PROCCTL_BIN, '-s', path, 'spawn', '--json', 'true'], capture_output=True, text=True)
        self.assertEqual(os.path.dirname(json.loads(answer.stdout)['log']), own_logs(self.path('own/log')))
        self.end()
        wait_until(lambda: not os.path.exists(path))
