"""What the README shows works as it is printed."""

import json
import os
import re
import shutil
import stat

from harness import ROOT, ProcdTest, read_text

LINE = '''echo '{"jsonrpc":"2.0","id":1,"method":"list","params":{}}' | socat -t 5 - UNIX:$PROCD_SOCKET | jq'''
PRINTED = '''{
  "jsonrpc": "2.0",
  "id": 1,
  "result": {
    "processes": [],
    "seq": 0
  }
}
'''

# What differs from machine to machine in what the README shows: ids, pids, times, the width of columns.
VARIABLE = ((r'(?m)^1(?=$|\\)', r'\\d+'), ('4242', r'\\d+'), (r'2\\\.1s', r'[\\d.]+s'), (r'(\\? )+', r' +'))


def blocks():
    """The indented blocks of the README, without the indentation."""
    text = read_text(os.path.join(ROOT, 'README.md'))
    found = re.findall(r'(?:^(?: {4}.*)?\n)+', text, flags=re.M)
    return [re.sub(r'^ {4}', '', block, flags=re.M).strip('\n') for block in found if block.strip()]


def block_with(text):
    block, = (block for block in blocks() if text in block)
    return block


class Readme(ProcdTest):
    def executable(self, path, script):
        with open(path, 'w') as f:
            f.write('#!/bin/sh\n' + script)
        os.chmod(path, stat.S_IRWXU)

    def test_socat(self):
        for tool in ('socat', 'jq'):
            if shutil.which(tool) is None:
                self.skipTest(f'needs {tool}')
        self.assertIn(f'$ {LINE}\n{PRINTED}', block_with('socat') + '\n')
        outcome = self.procd.sh(LINE)
        self.assertCode(outcome, 0)
        self.assertEqual(re.sub(r'"seq": \d+', '"seq": 0', outcome.out), PRINTED)
        self.spawned('--name', 'shown', '--', 'sleep', '1000')
        reply = json.loads(self.procd.sh(LINE).out)
        self.assertEqual((reply['id'], [p['name'] for p in reply['result']['processes']]), (1, ['shown']))

    def test_one_background_process(self):
        steps = re.split(r'^\$ ', block_with('procctl spawn --name foo --daemon'), flags=re.M)[1:]
        self.assertEqual(len(steps), 5)
        for step in steps:
            command, _, expected = step.rstrip('\n').partition('\n')
            outcome = self.procd.sh(command + ' 2>&1')
            pattern = re.escape(expected)
            for variable, what in VARIABLE:
                pattern = re.sub(variable, what, pattern)
            newline = '\n' if expected else ''
            self.assertRegex(outcome.out, rf'\A{pattern}{newline}\Z')

    def test_a_script_whose_processes_cannot_outlive_it(self):
        self.executable(os.path.join(self.procd.bin_dir, 'postgres'), 'exec sleep 1000\n')
        self.executable(self.path('work'), 'sleep 0.$1; exit 0\n')
        outcome = self.procd.sh(block_with('procctl session -- bash'), cwd=self.dir, timeout=20)
        self.assertCode(outcome, 0)
        processes = {}
        for process in self.procd.list():
            processes.setdefault(process['name'], []).append(process)
        database, = processes.pop('db')
        workers = [process for each in processes.values() for process in each]
        self.assertEqual([process['exitcode'] for process in workers], [0, 0, 0])
        self.assertEqual((database['exitcode'], database['result']['cause']), (-15, 'owner'))
        self.assertGreater(database['ended'], max(process['ended'] for process in workers))
