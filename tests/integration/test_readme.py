"""What the README shows works as it is printed."""

import json
import os
import shutil

from harness import ROOT, ProcdTest, read_text

LINE = '''echo '{"jsonrpc":"2.0","id":1,"method":"list","params":{}}' | socat -t 5 - UNIX:$PROCD_SOCKET | jq'''


class Readme(ProcdTest):
    def test_socat(self):
        for tool in ('socat', 'jq'):
            if shutil.which(tool) is None:
                self.skipTest(f'needs {tool}')
        self.spawned('--name', 'shown', '--', 'sleep', '1000')
        outcome = self.procd.sh(LINE)
        self.assertCode(outcome, 0)
        reply = json.loads(outcome.out)
        self.assertEqual((reply['id'], [p['name'] for p in reply['result']['processes']]), (1, ['shown']))

    def test_it_is_in_the_readme(self):
        readme = os.path.join(ROOT, 'README.md')
        if not os.path.exists(readme):
            self.skipTest('no README.md')
        self.assertIn(LINE, read_text(readme))
