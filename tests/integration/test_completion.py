"""What a shell offers behind procctl."""

import shutil
import unittest

from harness import ProcdTest

BASH = '''
source <(procctl completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
_procctl 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
'''
ZSH = '''
compdef() { :; }
_command_names() { echo :commands; }
_files() { echo :files; }
compadd() { shift 4; print -l -- "$@"; }
source <(procctl completion zsh)
words=("$@") CURRENT=$#
_procctl
'''


class Completion(ProcdTest):
    def setUp(self):
        super().setUp()
        self.first = self.spawned('--name', 'web', '--', 'sleep', '1000')
        self.spawned('--name', 'with blank', '--', 'sleep', '1000')

    def bash(self, *words):
        return self.procd.run(['bash', '--norc', '-c', BASH, 'bash', 'procctl', *words]).out.split('\n')[:-1]

    def zsh(self, *words):
        return self.procd.run(['zsh', '-f', '-c', ZSH, 'zsh', 'procctl', *words]).out.split('\n')[:-1]

    def fish(self, line):
        script = 'procctl completion fish | source; complete -C $argv[1]'
        return self.procd.run(['fish', '--no-config', '-c', script, line], env={'HOME': self.dir}).out.split('\n')[:-1]

    def test_candidates(self):
        outcome = self.ok('completion', 'words', 'spa')
        self.assertTrue(outcome.out.startswith('spawn\tStarts CMD'), outcome)
        self.assertEqual(self.ok('completion', 'words', 'stop', 'we').out.split('\t')[0], 'web')
        self.assertIn(f'{self.first}\tweb\n', self.ok('completion', 'words', 'pid', str(self.first)).out)
        self.assertEqual(self.ok('completion', 'words', 'spawn', 'ls').out, ':commands\n')

    def test_without_procd(self):
        outcome = self.ctl('completion', 'words', 'stop', '', env={'PROCD_SOCKET': self.path('none')})
        self.assertEqual((outcome.code, outcome.out, outcome.err), (0, '', ''))

    def test_usage(self):
        for words in (['tcsh'], ['bash', 'x'], []):
            self.assertCode(self.ctl('completion', *words), 2)

    def test_bash(self):
        self.assertEqual(self.bash('spa'), ['spawn'])
        self.assertEqual(self.bash('stop', 'w'), ['web', 'with\\ blank'])
        self.assertEqual(self.bash('spawn', '--kill-mode', '=', 'm'), ['main'])
        self.assertEqual(self.bash('spawn', '--kill-mode', '='), ['group', 'main'])
        self.assertIn('sleep', self.bash('run', 'slee'))

    @unittest.skipUnless(shutil.which('zsh'), 'needs zsh')
    def test_zsh(self):
        self.assertEqual(self.zsh('spa'), ['spawn'])
        self.assertEqual(self.zsh('stop', 'w'), ['web', 'with blank'])
        self.assertEqual(self.zsh('run', 'slee'), [':commands'])

    @unittest.skipUnless(shutil.which('fish'), 'needs fish')
    def test_fish(self):
        self.assertTrue(self.fish('procctl spa')[0].startswith('spawn\t'), self.fish('procctl spa'))
        self.assertEqual([line.split('\t')[0] for line in self.fish('procctl stop w')], ['web', 'with blank'])
