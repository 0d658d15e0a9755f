"""procctl run --pty with programs that people use, in tmux."""

import subprocess

from harness import ProcdTest, read_text, wait_until


class InTmux(ProcdTest):
    """Whole programs, as they look on the screen."""

    def setUp(self):
        super().setUp()
        self.tmux('new-session', '-d', '-x', '80', '-y', '24', 'bash --norc --noprofile -i')
        self.addCleanup(lambda: self.tmux('kill-server', check=False))
        self.shows('READY>')

    def tmux(self, *args, check=True):
        env = self.procd.environment({'PS1': 'READY> ', 'TERM': 'xterm', 'HISTFILE': None, 'TMUX': None, 'SHELL': '/bin/sh'})
        return subprocess.run(['tmux', '-f', '/dev/null', '-S', self.path('tmux'), *args], env=env, check=check,
                              capture_output=True, text=True, cwd=self.dir, timeout=30).stdout

    def screen(self):
        return self.tmux('capture-pane', '-p')

    def shows(self, *texts):
        wait_until(lambda: all(text in self.screen() for text in texts), 20, lambda: f'{texts} is not on the screen:\n{self.screen()}')

    def shows_no(self, text):
        wait_until(lambda: text not in self.screen(), 20, lambda: f'{text} is on the screen:\n{self.screen()}')

    def keys(self, *keys):
        self.tmux('send-keys', *keys)

    def test_vim(self):
        self.keys('procctl run -t vim -u NONE -n file', 'Enter')
        self.shows('~', '"file" [New')
        self.keys('i', 'written in vim', 'Escape')
        self.tmux('resize-window', '-x', '100', '-y', '30')
        self.shows('written in vim')
        wait_until(lambda: self.screen().count('\n~') > 22)
        self.keys(':wq', 'Enter')
        self.shows('READY>')
        self.shows_no('written in vim')
        self.assertEqual(read_text(self.path('file')), 'written in vim\n')
        self.keys('echo visible $((6 * 7))', 'Enter')
        self.shows('visible 42')

    def test_less(self):
        with open(self.path('text'), 'w') as f:
            f.writelines(f'line {n}\n' for n in range(1, 1001))
        self.keys('procctl run -t less text', 'Enter')
        self.shows('line 1\n', 'line 23')
        self.keys('G')
        self.shows('line 1000')
        self.keys('?line 500$', 'Enter')
        self.shows('line 500\n')
        self.keys('q')
        self.shows('READY>')

    def test_top(self):
        self.keys('procctl run -t top', 'Enter')
        self.shows('load average', 'PID')
        self.keys('q')
        self.shows('READY>')
        self.keys('echo visible $((6 * 7))', 'Enter')
        self.shows('visible 42')

    def test_bash(self):
        self.keys('procctl run -t bash --norc --noprofile -i', 'Enter')
        wait_until(lambda: self.screen().count('READY>') == 2)
        with open(self.path('job'), 'w') as f:
            f.write('trap "echo resumed" CONT; trap "exit 5" INT; echo begun; while :; do sleep 0.01; done')
        self.keys('bash job', 'Enter')
        self.shows('\nbegun')
        self.keys('C-z')
        self.shows('[1]+  Stopped')
        self.keys('fg', 'Enter')
        self.shows('\nresumed')
        self.keys('C-c')
        wait_until(lambda: self.screen().count('READY>') == 4, 20, self.screen)
        self.keys('exit 7', 'Enter')
        self.shows('exit\nREADY>')
        self.keys('echo status $?.', 'Enter')
        self.shows('status 7.')
