"""How long an owner's end takes: the grace of the stubborn, and the time until it is noticed."""

import os
import signal
import sys
import time

from harness import PYTHON, Client, Watched, alone, median
from test_owners import OWNER, OwnerTest


class StubbornTest(OwnerTest):
    STUBBORN = 'trap "" TERM; echo ready; while :; do sleep 0.05; done'

    def stubborn(self, client, **options):
        reader, writer = os.pipe()
        process = client.spawn('/bin/sh', '-c', self.STUBBORN, _fds=[writer], daemon=True, stdio={'stdout': {'fd': 0}},
                               env={'PATH': '/bin:/usr/bin'}, **options)
        os.close(writer)
        self.assertEqual(os.read(reader, 100), b'ready\n')
        os.close(reader)
        return process


class Grace(StubbornTest):
    def test_one_that_ignores_the_signal_ends_after_the_grace(self):
        client = self.client()
        process = self.stubborn(client, grace=0.5)
        with Watched(process['pid']) as watched:
            begin = time.monotonic()
            client.close()
            taken = watched.await_end() - begin
        self.assertGreaterEqual(taken, 0.45)
        self.assertLess(taken, 3)
        process = self.procd.await_state(process['id'])
        self.assertEqual((process['exitcode'], process['result']['cause']), (-9, 'owner'))

    def test_a_stopped_one_ends_at_once(self):
        client = self.client()
        process = client.spawn('/bin/sleep', '1000', daemon=True)
        os.kill(process['pid'], signal.SIGSTOP)
        client.close()
        self.ended_by_owner(process['id'])

    def test_stopping_is_shown(self):
        client = self.client()
        process = self.stubborn(client, grace=30)
        client.close()
        process = self.procd.await_state(process['id'], 'stopping')
        self.assertTrue(process['alive'])
        with Client(self.procd.socket) as other:
            self.assertEqual(other.call('terminate', processes=[process['id']], grace=0.1, wait=True)['processes'][0]['exitcode'], -9)


class DefaultGrace(StubbornTest):
    options = ('--grace', '0.5')

    def test_given_to_procd(self):
        client = self.client()
        process = self.stubborn(client)
        begin = time.monotonic()
        client.close()
        self.assertEqual(self.procd.await_state(process['id'])['exitcode'], -9)
        self.assertLess(time.monotonic() - begin, 5)


class Latency(OwnerTest):
    """From the end of the owner to the end of its daemon: under 50 ms in the median."""
    ROUNDS = 15

    def measure(self, make):
        times = []
        for _ in range(self.ROUNDS):
            daemon, end = make()
            with Watched(daemon) as watched:
                begin = time.monotonic()
                end()
                times.append(watched.await_end() - begin)
        print('ms:', [round(t * 1000, 1) for t in times], file=sys.stderr)
        self.assertLess(median(times), 0.050, times)

    def connection(self, number):
        def make():
            program = self.procd.popen(PYTHON, '-c', OWNER)
            daemon = int(self.line(program.stdout).split()[0])
            return self.procd.status(daemon)['pid'], lambda: program.send_signal(number)
        self.measure(make)

    @alone
    def test_connection_killed(self):
        self.connection(signal.SIGKILL)

    @alone
    def test_connection_terminated(self):
        self.connection(signal.SIGTERM)

    @alone
    def test_connection_killed_with_a_forked_copy(self):
        copies = []

        def make():
            program = self.procd.popen(PYTHON, '-c', OWNER)
            daemon = int(self.line(program.stdout).split()[0])
            program.stdin.write(b'fork\n')
            copies.append(int(self.line(program.stdout).split()[1]))
            return self.procd.status(daemon)['pid'], program.kill
        try:
            self.measure(make)
        finally:
            for copy in copies:
                os.kill(copy, signal.SIGKILL)

    def session(self, number):
        def make():
            session = self.procd.popen_ctl('session', '--', 'bash', '-c', 'procctl spawn -q --daemon -- sleep 1000; exec sleep 1000')
            daemon = int(self.line(session.stdout))
            return self.procd.status(daemon)['pid'], lambda: session.send_signal(number)
        self.measure(make)

    @alone
    def test_session_killed(self):
        self.session(signal.SIGKILL)

    @alone
    def test_session_terminated(self):
        self.session(signal.SIGTERM)

    @alone
    def test_pid_killed(self):
        def make():
            program = self.procd.popen('sleep', '1000')
            with Client(self.procd.socket) as client:
                return client.spawn('/bin/sleep', '1000', owner={'pid': program.pid}, daemon=True)['pid'], program.kill
        self.measure(make)

    @alone
    def test_process_killed(self):
        client = self.client()

        def make():
            owner = client.spawn('/bin/sleep', '1000', owner='procd')
            daemon = client.spawn('/bin/sleep', '1000', owner={'process': owner['id']}, daemon=True)
            return daemon['pid'], lambda: os.kill(owner['pid'], signal.SIGKILL)
        self.measure(make)
