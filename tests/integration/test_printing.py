"""What procctl prints: tables, JSON, errors, help."""

import json
import os
import re
import unicodedata

from harness import Client, ProcdTest

VERBS = ('spawn create start run session list status pid name set alive exitcode wait terminate kill interrupt signal '
         'logs events close current shutdown info').split()


class Printing(ProcdTest):
    COLUMNS = ['ID', 'NAME', 'PID', 'STATE', 'EXIT', 'DAEMON', 'OWNER', 'UPTIME']

    def test_table(self):
        foo = self.spawned('--name', 'foo', '--daemon', '--', 'sleep', '1000')
        bar = self.spawned('--name', '长名字', '--', 'sh', '-c', 'exit 7')
        self.ctl('wait', bar)
        lines = self.ok('status').out.splitlines()
        self.assertEqual(lines[0].split()[:8], self.COLUMNS)
        self.assertEqual(len(lines), 3)
        rows = {line.split()[1]: line for line in lines[1:]}
        self.assertIn('sleep 1000', rows['foo'])
        self.assertIn('running', rows['foo'])
        self.assertIn(str(self.procd.status(foo)['pid']), rows['foo'])
        self.assertIn('exited', rows['长名字'])
        self.assertIn('7', rows['长名字'].split())
        self.assertNotIn('\x1b', ''.join(lines))

    def test_columns_stand_under_each_other(self):
        self.spawned('--name', '测试', '--', 'sleep', '1000')
        self.spawned('--name', 'plain', '--', 'sleep', '1000')

        def width(text):
            return sum(2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in text)
        starts = {width(line[:line.index('running')]) for line in self.ok('status').out.splitlines() if 'running' in line}
        self.assertEqual(len(starts), 1)

    def test_only_the_newest_ended_are_shown(self):
        with Client(self.procd.socket) as client:
            ids = [client.spawn('/bin/true', owner='procd')['id'] for _ in range(15)]
            client.wait(*ids)
        self.assertEqual(len(self.ok('status').out.splitlines()), 11)
        self.assertEqual(len(self.ok('status', '-a').out.splitlines()), 16)

    def test_control_characters_are_escaped(self):
        text = 'a\x1b[31mb\nc\td\u202ee\u2028f\x7f'
        self.spawned('--name', 'x', '--', 'sh', '-c', 'exec sleep 1000', text)
        for verb in (['status'], ['status', 'x'], ['list']):
            out = self.ok(*verb).out
            for character in '\x1b\u202e\u2028\x7f':
                self.assertNotIn(character, out, verb)
        self.assertEqual(len(self.ok('status').out.splitlines()), 2)
        self.assertIn(text, self.ok('status', '--json', 'x').json['command'])

    def test_on_a_terminal_it_is_coloured_and_cut(self):
        self.spawned('--name', 'foo', '--', 'sleep', '1000', 'x' * 300)
        plain = self.ok('status').out
        self.assertIn('x' * 300, plain)
        status, shown = self.terminal('status', columns=90)
        self.assertEqual(status, 0)
        self.assertIn('\x1b[', shown)
        self.assertIn('containment: ', shown)
        text = re.sub(r'\x1b\[[0-9;]*m', '', shown)
        header, row, *_ = text.splitlines()
        self.assertEqual(header.split()[:8], self.COLUMNS)
        self.assertEqual((len(row), row[-1]), (90, '…'))
        status, shown = self.terminal('status', columns=90, env={'NO_COLOR': '1'})
        self.assertNotIn('\x1b', shown)
        self.assertEqual(shown.splitlines()[1][-1], '…')
        status, shown = self.terminal('list', '--json')
        self.assertEqual(len(json.loads(shown)['processes']), 1)

    def test_json_of_the_table(self):
        self.spawned('--', 'sleep', '1000')
        result = self.ok('status', '--json').json
        self.assertEqual(len(result['processes']), 1)
        self.assertIn('seq', result)

    def test_errors_keep_stdout_clean(self):
        for arguments in (['pid', 'x'], ['wait', 'x'], ['terminate', 'x'], ['bogus'], ['spawn', '--bogus', '--', 'true'], ['spawn'],
                          ['wait', '--timeout', 'soon', 'x']):
            outcome = self.ctl(*arguments)
            self.assertNotEqual(outcome.code, 0)
            self.assertEqual(outcome.out, '', outcome)
            self.assertNotEqual(outcome.err, '', outcome)

    def test_usage_errors(self):
        for arguments in (['bogus'], ['spawn'], ['spawn', '--bogus', '--', 'true'], ['wait', '--timeout', 'soon', 'x'], ['pid'],
                          ['spawn', '--daemon', '--no-daemon', '--', 'true'], ['spawn', '--owner', 'nonsense', '--', 'true']):
            self.assertCode(self.ctl(*arguments), 2)

    def test_json_of_errors(self):
        for arguments, kind in ((['pid', '--json', 'x'], 'no_such_process'), (['wait', '--json', 'x'], 'no_such_process'),
                                (['spawn', '--json', '--', '/nonexistent'], 'exec_failed'), (['spawn', '--json', '--name', '12', '--', 'true'], 'bad_request')):
            self.assertEqual(self.ctl(*arguments).kind, kind)

    def test_json_before_the_verb(self):
        identity = self.spawned('--name', 'x', '--', 'sleep', '1000')
        self.assertEqual(self.ctl('--json', 'status', 'x').json['id'], identity)
        self.assertEqual(self.ctl('--timeout', '20', '--json', '-s', self.procd.socket, 'pid', 'x').json['id'], identity)
        self.assertEqual(self.ctl('--json', 'pid', 'y').kind, 'no_such_process')
        self.assertEqual(self.ctl('--json', 'pid').kind, 'usage')
        self.assertEqual(self.ctl('--timeout', '0.05', '--json', 'wait', 'x').json, {'processes': [], 'timed_out': True})

    def test_names_are_utf8(self):
        for words in (('spawn', '--name', b'a\xff', '--', 'true'), ('create', '--name', b'\xff', '--', 'true'),
                      ('run', '--name', b'\xff', '--', 'true'), ('list', '--name', b'\xff*'), ('alive', b'\xff'),
                      ('kill', b'\xff')):
            outcome = self.procd.run([os.path.join(self.procd.bin_dir, 'procctl'), *words])
            self.assertCode(outcome, 2)
            self.assertIn('\\xff', outcome.err)
            self.assertIn('is not UTF-8', outcome.err)
        self.assertEqual(self.procd.list(), [])

    def test_verb_json(self):
        identity = self.spawned('--name', 'x', '--', 'sleep', '1000')
        for verb in ('status', 'pid', 'name', 'alive', 'exitcode'):
            self.assertEqual(self.ctl(verb, '--json', 'x').json['id'], identity, verb)
        self.assertEqual(self.ctl('kill', '--json', 'x').json['processes'][0]['id'], identity)
        self.assertEqual(self.ctl('wait', '--json', 'x').json['processes'][0]['exitcode'], -9)
        self.assertEqual(self.ctl('close', '--json', str(identity)).json['closed'], [identity])

    def test_help(self):
        overview = self.ok('--help').out
        for verb in VERBS:
            self.assertIn(verb, overview)
            text = self.ok(verb, '--help').out
            self.assertIn(f'procctl {verb}', text, verb)
        self.assertRegex(self.ok('spawn', '--help').out, r'(?s)--daemon.*outlive')
