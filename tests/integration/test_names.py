"""What processes are called, and which one is meant."""

import json

from harness import ProcdTest, wait_for_file, wait_until


class NameTest(ProcdTest):
    def setUp(self):
        super().setUp()
        self.c = self.client()

    def sleeper(self, client=None, **params):
        return (client or self.c).spawn('/bin/sleep', '1000', **params)


class Defaults(NameTest):
    def test_every_construction_counts(self):
        self.assertEqual(self.sleeper(name='foo_process')['name'], 'foo_process')
        self.assertEqual(self.sleeper()['name'], 'Process-2')
        self.c.error('spawn', command=['/nonexistent'])
        self.assertEqual(self.c.call('create', command=['/bin/true'])['name'], 'Process-4')
        self.assertEqual(self.sleeper(name='')['name'], 'Process-5')

    def test_one_counter_an_owner(self):
        other = self.client()
        self.assertEqual([self.sleeper()['name'], self.sleeper()['name']], ['Process-1', 'Process-2'])
        self.assertEqual(self.sleeper(other)['name'], 'Process-1')
        session = other.call('session')['session']
        self.assertEqual(self.sleeper(owner={'session': session})['name'], 'Process-1')
        self.assertEqual(self.sleeper(owner='procd')['name'], 'Process-1')
        self.assertEqual(self.sleeper(other, owner={'session': session})['name'], 'Process-2')

    def test_nested(self):
        out = self.path('out')
        self.spawned('--', 'sh', '-c', f'''
            a=$(procctl spawn -q -- sh -c 'procctl spawn -q -- sh -c "sleep 1000"; procctl current --name > {out}.inner; sleep 1000')
            b=$(procctl spawn -q --name own -- sleep 1000)
            c=$(procctl spawn -q --owner procd -- sleep 1000)
            echo $a $b $c > {out}; sleep 1000''')
        names = [self.procd.status(int(i))['name'] for i in wait_for_file(out).split()]
        # Whoever the owner is, the enclosing process gives the name.
        self.assertEqual(names, ['Process-1:1', 'own', 'Process-1:3'])
        self.assertEqual(wait_for_file(out + '.inner'), 'Process-1:1\n')
        wait_until(lambda: 'Process-1:1:1' in {p['name'] for p in self.procd.list()})

    def test_a_named_parent(self):
        self.spawned('--name', 'parent', '--', 'sh', '-c', 'procctl spawn -q -- sleep 1000; sleep 1000')
        names = wait_until(lambda: (lambda n: n if len(n) == 2 else None)({p['name'] for p in self.procd.list()}))
        # Python nests by identity, not by the given name: the parent is the first of its owner.
        self.assertEqual(names, {'parent', 'Process-1:1'})


class Selecting(NameTest):
    def test_the_live_ones_count(self):
        old = self.sleeper(name='x')['id']
        self.c.call('kill', processes=[old])
        self.c.wait(old)
        new = self.sleeper(name='x')['id']
        self.assertEqual(self.c.status('x')['id'], new)

    def test_else_the_newest(self):
        ids = []
        for _ in range(3):
            ids.append(self.c.spawn('/bin/true', name='x')['id'])
            self.c.wait(ids[-1])
        self.assertEqual(self.c.status('x')['id'], ids[-1])

    def test_ambiguous(self):
        ids = [self.sleeper(name='Python')['id'] for _ in range(5)]
        for method, params in (('status', {}), ('rename', {'name': 'y'}), ('sentinel', {})):
            error = self.c.error(method, process='Python', **params)
            self.assertError(error, 'ambiguous', 1)
            candidates = [c['id'] if isinstance(c, dict) else c for c in error.data['candidates']]
            self.assertEqual(sorted(candidates), ids)
        self.assertEqual(len(self.c.call('terminate', processes=['Python'], wait=True)['processes']), 5)
        self.assertEqual(self.c.status('Python')['id'], ids[-1])

    def test_id_or_name(self):
        process = self.sleeper(name='x')
        self.assertEqual(self.c.status(process['id'])['name'], 'x')
        self.assertEqual(self.c.status({'name': 'x'})['id'], process['id'])
        self.assertEqual(self.c.status({'name': 'x', 'owner': 'connection'})['id'], process['id'])
        self.assertIn(self.c.error('status', process=str(process['id'])).kind, ('no_such_process', 'bad_request'))

    def test_own_ones_before_all_others(self):
        other = self.client()
        mine, theirs = self.sleeper(name='db')['id'], self.sleeper(other, name='db')['id']
        self.assertEqual((self.c.status('db')['id'], other.status('db')['id']), (mine, theirs))
        third = self.client()
        self.assertError(third.error('status', process='db'), 'ambiguous', 1)
        self.c.call('kill', processes=['db'])
        self.c.wait('db')
        self.assertEqual(other.status('db')['state'], 'running')
        # An ended one of one's own is still one's own: the name does not begin to mean a stranger's.
        self.assertEqual(self.c.status('db')['id'], mine)
        self.assertEqual(third.status('db')['id'], theirs)

    def test_unique(self):
        first = self.sleeper(name='x', unique=True)
        error = self.c.error('spawn', command=['/bin/true'], name='x', unique=True)
        self.assertError(error, 'name_in_use', 1)
        self.sleeper(self.client(), name='x', unique=True, owner='procd')
        self.c.call('kill', processes=[first['id']])
        self.c.wait(first['id'])
        self.sleeper(name='x', unique=True)

    def test_of_an_owner_elsewhere(self):
        session = self.c.call('session')['session']
        process = self.sleeper(owner={'session': session}, name='x')
        self.sleeper(owner='procd', name='x')
        self.assertEqual(self.client().status({'name': 'x', 'owner': {'session': session}})['id'], process['id'])


class TwoSessions(NameTest):
    def test_the_same_names_at_once(self):
        # Both make a `db` and a `Process-2`, meet, end their own by name and look at the other's through ids.
        script = '''
            db=$(procctl spawn -q --name db -- sleep 1000); p=$(procctl spawn -q -- sleep 1000)
            echo $db $p; read go
            procctl terminate db; procctl wait db; echo $?
            procctl alive Process-2; procctl status --json db | tr -d "\\n"; echo
            read go; procctl terminate Process-2; procctl wait Process-2; echo $?'''
        sessions = [self.procd.popen_ctl('session', '--', 'bash', '-c', script) for _ in range(2)]
        ids = [list(map(int, self.line(s.stdout).split())) for s in sessions]
        self.assertEqual(len(set(sum(ids, []))), 4)
        self.assertEqual({self.procd.status(i[1])['name'] for i in ids}, {'Process-2'})
        sessions[0].stdin.write(b'go\n')
        self.assertEqual([self.line(sessions[0].stdout), self.line(sessions[0].stdout)], ['143', 'true'])
        self.assertEqual(json.loads(self.line(sessions[0].stdout))['id'], ids[0][0])
        self.assertEqual([self.procd.status(i)['alive'] for i in (ids[0][0], ids[0][1], *ids[1])], [False, True, True, True])
        sessions[1].stdin.write(b'go\n')
        self.assertEqual([self.line(sessions[1].stdout), self.line(sessions[1].stdout)], ['143', 'true'])
        self.assertEqual(json.loads(self.line(sessions[1].stdout))['id'], ids[1][0])
        for session in sessions:
            session.stdin.write(b'go\n')
        for session in sessions:
            self.assertEqual(self.line(session.stdout), '143')
            self.assertEqual(session.wait(20), 0)
        self.assertEqual({p['exitcode'] for p in self.procd.list()}, {-15})

    def test_hammered(self):
        script = '''for i in $(seq 15); do
                procctl spawn -q --name db -- sleep 1000 >/dev/null; procctl spawn -q --name w -- sh -c "exit 9" >/dev/null
                procctl terminate db; procctl wait db; [ $? = 143 ] || echo db; procctl wait w; [ $? = 9 ] || echo w
                procctl close db w || echo close
            done; echo done'''
        sessions = [self.procd.popen_ctl('session', '--', 'bash', '-c', script) for _ in range(2)]
        for session in sessions:
            out, err = session.communicate(timeout=50)
            self.assertEqual((session.returncode, out, err), (0, b'done\n', b''))

    def test_own_processes_in_a_session_before_procds(self):
        outside = self.spawned('--name', 'db', '--', 'sleep', '1000')
        outcome = self.ctl('session', '--', 'bash', '-c', 'procctl spawn -q --name db -- sleep 1000; procctl terminate --wait db; procctl terminate --wait db')
        self.assertCode(outcome, 0)
        self.assertTrue(self.procd.status(outside)['alive'])
