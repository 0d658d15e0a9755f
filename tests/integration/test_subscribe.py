"""Events: what a subscriber hears, in which order, and what a slow one costs."""

import time

from harness import PROCESS_FIELDS, ProcdTest, alone, time_limit, wait_until, unsanitized


class SubscribeTest(ProcdTest):
    def setUp(self):
        super().setUp()
        self.c = self.client()
        self.listener = self.client()

    def event(self, deadline=None):
        message = self.listener.notification(deadline)
        self.assertEqual(message['method'], 'event')
        self.assertNotIn('id', message)
        return message['params']

    def until(self, kind, process=None):
        """The events up to one of this type (of this process)."""
        events = []
        while not events or events[-1].get('type') != kind or (process and events[-1]['process']['id'] != process):
            events.append(self.event())
        return events


class Events(SubscribeTest):
    def test_a_life(self):
        first = self.listener.call('subscribe')
        self.assertEqual(first['processes'], [])
        process = self.c.call('create', command=['/bin/sleep', '1000'], name='x')['id']
        self.c.call('rename', process=process, name='y')
        self.c.call('start', process=process)
        self.c.call('terminate', processes=[process])
        self.c.wait(process)
        self.c.call('close', processes=[process])
        events = self.until('closed')
        self.assertEqual([e['type'] for e in events], ['created', 'changed', 'started', 'stopping', 'exited', 'closed'])
        numbers = [e['seq'] for e in events]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertGreater(numbers[0], first['seq'])
        for event in events:
            self.assertEqual(event['process']['id'], process)
            self.assertRegex(event['time'], r'^\d{4}-\d\d-\d\dT')
        self.assertEqual(set(events[0]['process']), PROCESS_FIELDS)
        self.assertEqual((events[1]['process']['name'], events[2]['process']['state'], events[4]['process']['exitcode']), ('y', 'running', -15))

    def test_one_that_ends_by_itself(self):
        self.listener.call('subscribe')
        process = self.c.spawn('/bin/true')['id']
        types = [e['type'] for e in self.until('exited', process)]
        self.assertEqual([t for t in types if t != 'stopping'], ['created', 'started', 'exited'])

    def test_what_was_there_before(self):
        process = self.c.spawn('/bin/sleep', '1000')['id']
        result = self.listener.call('subscribe')
        self.assertEqual([p['id'] for p in result['processes']], [process])
        self.assertEqual(result['seq'], self.c.call('list')['seq'])

    def test_since(self):
        seq = self.listener.call('subscribe')['seq']
        self.listener.close()
        process = self.c.spawn('/bin/true')['id']
        self.c.wait(process)
        self.listener = self.client()
        self.listener.call('subscribe', since=seq)
        self.assertEqual(self.event()['type'], 'created')
        self.until('exited', process)

    def test_the_end_of_an_owner(self):
        self.listener.call('subscribe')
        client = self.client()
        daemon = client.spawn('/bin/sleep', '1000', daemon=True)['id']
        other = client.spawn('/bin/sleep', '1000')['id']
        client.close()
        seen = []

        def complete():
            seen.append(self.event())
            return ({('exited', daemon), ('changed', other)} <= {(e['type'], e['process']['id']) for e in seen})
        wait_until(complete)
        changed = next(e for e in seen if e['type'] == 'changed' and e['process']['id'] == other)
        self.assertEqual(changed['process']['owner']['kind'], 'procd')

    def test_several_subscribers(self):
        others = [self.client() for _ in range(10)]
        for client in [self.listener, *others]:
            client.call('subscribe')
        process = self.c.spawn('/bin/true')['id']
        expected = [e['seq'] for e in self.until('exited', process)]
        for client in others:
            self.assertEqual([client.notification()['params']['seq'] for _ in expected], expected)

    def test_calls_go_on_beside_events(self):
        self.listener.call('subscribe')
        process = self.listener.spawn('/bin/true')['id']
        self.assertEqual(self.listener.wait(process)['processes'][0]['exitcode'], 0)
        self.until('exited', process)


class SlowReaders(SubscribeTest):
    @alone
    @time_limit(120)
    @unsanitized
    def test_overflow(self):
        self.listener.call('subscribe')
        process = self.c.spawn('/bin/sleep', '1000')['id']
        resident = self.procd.resident_bytes()
        begin = time.monotonic()
        total = 0
        for n in range(60):
            numbers = [self.c.request('rename', {'process': process, 'name': f'{"x" * 200}{n}.{m}'}) for m in range(500)]
            for number in numbers:
                self.c.result(number)
            total += len(numbers)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertLess(self.procd.resident_bytes() - resident, 100 << 20, 'what waits for a slow reader has a bound')
        heard, overflow = 0, False
        while not overflow:
            message = self.listener.notification()
            overflow = bool(message['params'].get('overflow'))
            heard += 1
        self.assertLess(heard, total)
        self.assertEqual(len(self.listener.call('subscribe')['processes']), 1)
        self.c.call('rename', process=process, name='after')
        wait_until(lambda: self.event().get('process', {}).get('name') == 'after')
