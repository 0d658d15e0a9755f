"""Many at once, and the races around a start."""

import threading
import time

from harness import Client, ProcdTest, alone, time_limit

SH = '/bin/sh'


class Load(ProcdTest):
    @alone
    @time_limit(180)
    def test_a_thousand_from_fifty_clients(self):
        clients = [self.client() for _ in range(50)]
        expected = {}
        requests = []
        for n in range(20):
            for m, client in enumerate(clients):
                code = (n * 50 + m) % 251
                requests.append((client, code, client.request('spawn', {'command': [SH, '-c', f'exit {code}']})))
        for client, code, number in requests:
            expected[client.result(number, 120)['id']] = (client, code)
        self.assertEqual(len(expected), 1000)
        wrong = []
        for identity, (client, code) in expected.items():
            ended = client.call('wait', processes=[identity], timeout=60)['processes']
            if [p['exitcode'] for p in ended] != [code]:
                wrong.append((identity, code, ended))
        self.assertEqual(wrong, [])

    @alone
    @time_limit(180)
    def test_a_thousand_alive_at_once(self):
        clients = [self.client() for _ in range(50)]
        requests = [(client, client.request('spawn', {'command': ['/bin/sleep', '1000'], 'daemon': True})) for _ in range(20) for client in clients]
        pids = {client.result(number, 120)['pid'] for client, number in requests}
        self.assertEqual(len(pids), 1000)
        with Client(self.procd.socket) as other:
            self.assertEqual(len(other.call('list', alive=True)['processes']), 1000)
        for client in clients:
            client.close()
        with Client(self.procd.socket) as other:
            ids = [p['id'] for p in other.call('list')['processes']]
            ended = other.result(other.request('wait', {'processes': ids}), 60)['processes']
        self.assertEqual({p['exitcode'] for p in ended}, {-15})
        self.assertEqual({p['result']['cause'] for p in ended}, {'owner'})

    @alone
    @time_limit(120)
    def test_from_procctl(self):
        outcome = self.procd.sh('''for i in $(seq 100); do procctl spawn -q -- sh -c "exit $i" & done; wait''', timeout=60)
        ids = list(map(int, outcome.out.split()))
        self.assertEqual(len(set(ids)), 100, outcome)
        with Client(self.procd.socket) as client:
            ended = client.wait(*ids)['processes']
        self.assertEqual(sorted(p['exitcode'] for p in ended), list(range(1, 101)))
        self.assertEqual({p['exitcode'] for p in ended if p['command'][2] != f'exit {p["exitcode"]}'}, set())


class Races(ProcdTest):
    @time_limit(120)
    def test_terminate_right_after_spawn(self):
        with self.client() as client:
            codes = set()
            for _ in range(100):
                spawned = client.request('spawn', {'command': [SH, '-c', 'sleep 1000; exit 0']})
                process = client.result(spawned)['id']
                codes.add(client.call('terminate', processes=[process], wait=True)['processes'][0]['exitcode'])
            self.assertEqual(codes, {-15})

    @time_limit(120)
    def test_terminate_in_the_same_breath(self):
        with self.client() as client:
            codes = set()
            for n in range(100):
                name = f'n{n}'
                client.request('spawn', {'command': ['/bin/sleep', '1000'], 'name': name})
                client.request('terminate', {'processes': [name]})
                codes.add(client.wait(name)['processes'][0]['exitcode'])
            self.assertEqual(codes, {-15})

    @time_limit(120)
    def test_client_gone_right_after_its_request(self):
        with self.client() as watcher:
            for n in range(100):
                client = Client(self.procd.socket)
                client.request('spawn', {'command': ['/bin/sleep', '1000'], 'name': f'n{n}', 'daemon': True})
                client.close()
            # Whether it was made or not: nothing of a vanished owner stays.
            deadline = time.monotonic() + 20
            while watcher.call('list', alive=True)['processes']:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)

    @time_limit(120)
    def test_ends_at_once(self):
        with self.client() as client:
            for n in range(200):
                process = client.spawn(SH, '-c', f'exit {n % 200}')
                self.assertTrue(process['pid'])
                self.assertEqual(client.wait(process['id'])['processes'][0]['exitcode'], n % 200)

    @time_limit(120)
    def test_several_terminate_and_wait_for_the_same(self):
        owner = self.client()
        for _ in range(20):
            process = owner.spawn('/bin/sleep', '1000')['id']
            results = []

            def work():
                with Client(self.procd.socket) as client:
                    results.append(client.call('terminate', processes=[process], wait=True)['processes'][0]['exitcode'])
            threads = [threading.Thread(target=work) for _ in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(results, [-15] * 5)
