"""procd killed again and again, at any moment, with everybody at work: what it promised is kept all the same."""

import contextlib
import os
import random
import time

from harness import HELPERS_DIR, alone, time_limit, unsanitized, wait_until
from load import Worker
from modelled import ModelledTest
from wire import Client, Disconnected

KILLS = int(os.environ.get('PROCD_TEST_KILLS', 20))
POPULATION = 200
WORKERS = 5
MAX_JOURNAL = 8 << 20


class RecoveryLoad(ModelledTest):
    @alone
    @time_limit(60 + 3 * KILLS)
    def test_killed_again_and_again(self):
        self.model.ends.reaps = True
        self.kill_again_and_again(KILLS)

    @alone
    @time_limit(60 + 3 * KILLS)
    def test_no_code_is_lost_where_the_dead_are_kept(self):
        """Whoever inherits procd's children lets them lie, and the kernel keeps their codes."""
        self.need_cgroup()
        self.kill_again_and_again(KILLS // 2)
        self.assertEqual([process for _, process in self.model.exits.values() if process['result']['how'] == 'lost'], [])

    def kill_again_and_again(self, kills):
        self.begin(*(Worker(self.model, self.programs, POPULATION) for _ in range(WORKERS)))
        wait_until(lambda: self.model.alive() >= POPULATION or self.model.failures, 30)
        for number in range(kills):
            time.sleep(random.choice([0, 0.05, 0.2, 0.5, 1]) * random.random())
            self.kill()
            self.check_taken_back()
            if number % 5 == 0:
                self.check_orphans(5)
            self.assertLess(os.stat(self.procd.socket + '.journal').st_size, MAX_JOURNAL)
            self.check()
        lost = self.check_end()
        print(f'{kills} kills, {len(self.model.plans)} asked for, {len(self.model.exits)} ends, {lost} lost')


class Script(Worker):
    """One of everything, in the same order each time, until procd is gone."""

    def __init__(self, model):
        super().__init__(model, [], 0)
        self.complete = False

    def live(self):
        self.join_procd()
        stays = self.begun('sleeper', True, 'procd', None)
        self.begun('sleeper', False, {'process': stays.id}, stays)
        brief = self.begun('brief', False, 'procd', None)
        self.ask('wait', processes=[brief.id])
        self.ask('rename', process=brief.id, name=self.renamed(brief))
        brief.closing = True
        self.ask('close', processes=[brief.id])
        created = self.begun('brief', False, 'procd', None, start=False)
        created.started = True
        self.ask('start', process=created.id)
        self.ask('wait', processes=[created.id])
        self.lend()
        for daemon in (False, True):
            self.begun('sleeper', daemon, {'session': self.sessions[-1]}, self.lease)
            self.begun('sleeper', daemon, 'connection', self.lease)
        for verb in ('terminate', 'kill'):
            ended = self.begun('parent', False, 'procd', None)
            ended.touched = True
            self.ask(verb, processes=[ended.id])
            self.ask('wait', processes=[ended.id])
        self.begun('sleeper', False, 'procd', None, start=False)
        self.complete = True
        self.over.set()

    def begun(self, kind, daemon, owner, owner_is, start=True):
        plan = self.model.plan(kind, daemon, owner, owner_is)
        plan.script = 'exit %d' % plan.code if kind == 'brief' else plan.script
        plan.started = plan.by_spawn = start
        self.ask('spawn' if start else 'create', **plan.params())
        return plan

    def run(self):
        try:
            with Client(self.model.socket) as self.client:
                self.live()
        except (OSError, Disconnected):
            pass


class Moments(ModelledTest):
    @alone
    @unsanitized
    @time_limit(180)
    def test_killed_at_each_write_of_the_journal(self):
        """Before each and after each: what is written is enough to go on from, and what was told was written."""
        is_cgroup = self.kind() == 'cgroup'
        self.begin()
        script, moment = None, 0
        while script is None or not script.complete:
            self.procd.env.update(LD_PRELOAD=os.path.join(HELPERS_DIR, 'killed_writing.so'), KILLED_WRITING=str(moment))
            with contextlib.suppress(AssertionError):  # it need not get ready
                self.restart()
            script = Script(self.model)
            script.run()
            del self.procd.env['LD_PRELOAD']
            self.restart()
            self.check_taken_back()
            self.check()
            moment += 1
        self.assertGreater(moment, 50)
        lost = self.check_end()
        self.assertEqual(lost, 0 if is_cgroup else lost)
