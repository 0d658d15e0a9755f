"""procd --cgroup: the groups are made where it is told, and procd stays where it is."""

import os
import subprocess
import unittest

from harness import PROCD_BIN, ProcdTest, cgroup2_mount, cgroup_of, cgroup_usable, remove_cgroup, wait_until


@unittest.skipUnless(cgroup_usable(), 'needs control groups')
class Elsewhere(ProcdTest):
    settings = {'started': False, 'containment': 'auto'}

    def setUp(self):
        super().setUp()
        self.place = self.procd.cgroup + '-elsewhere'
        os.mkdir(self.place)
        self.addCleanup(remove_cgroup, self.place)

    def born_in(self):
        with self.procd.client() as client:
            process = client.spawn('/bin/sleep', '1000')
            group = cgroup2_mount() + cgroup_of(process['pid'])
            client.call('kill', processes=[process['id']])
            client.wait(process['id'])
        return group

    def assertMade(self, option):
        self.procd.start('--cgroup', option)
        group = self.born_in()
        self.assertEqual(os.path.dirname(os.path.dirname(group)), self.place)
        self.assertIn(self.place, self.ok('info').out)
        self.assertEqual(cgroup2_mount() + cgroup_of(self.procd.pid), self.procd.cgroup)
        with open(os.path.join(self.procd.cgroup, 'cgroup.procs')) as f:
            self.assertEqual(f.read().split(), [str(self.procd.pid)])
        wait_until(lambda: not os.path.exists(group))
        self.procd.stop()
        self.assertEqual([name for name in os.listdir(self.place) if name.startswith('procd')], [])
        self.assertTrue(os.path.isdir(self.place))

    def test_beside_its_own(self):
        self.assertMade('../' + os.path.basename(self.place))

    def test_by_a_path_with_links_in_it(self):
        link = self.path('link')
        os.symlink(self.place, link)
        self.assertMade(link)

    def refused(self, *options):
        command = [PROCD_BIN, '-s', self.path('other.sock'), *options]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        self.assertNotEqual(ended.returncode, 0, ended)
        return ended

    def test_a_place_that_is_not_there_is_refused_and_not_replaced_by_another(self):
        ended = self.refused('--cgroup', '../no-such-group', '--containment', 'auto')
        self.assertEqual(ended.returncode, 1)
        self.assertRegex(ended.stderr, r'find the cgroup /.*/no-such-group: No such file or directory')
        self.assertRegex(self.refused('--cgroup', self.dir).stderr, f'cgroup2 mount of {self.dir}')

    def test_it_is_of_no_use_without_groups(self):
        ended = self.refused('--cgroup', self.place, '--containment', 'subreaper')
        self.assertEqual(ended.returncode, 2)
        self.assertIn('--containment subreaper', ended.stderr)
