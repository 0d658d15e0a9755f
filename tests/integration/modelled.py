"""A procd whose clients are watched by a model of its promises, through kills and restarts."""

import ctypes
import random
import subprocess
import time

from harness import Client, ProcdTest, cgroup_members, describe, lives, wait_until
from load import LEASES, Model, Subscriber, Worker, tagged

PROGRAMS = 6          # that own processes
LATE = 0.25           # that a busy test may see an end
PR_SET_CHILD_SUBREAPER = 36


class ModelledTest(ProcdTest):
    """A procd that is killed and comes back, with a Model that knows what was asked of it."""

    options = ('--retain', '1000000')

    def setUp(self):
        super().setUp()
        self.killed = []      # from when to when there was no procd
        self.programs = [self.program() for _ in range(PROGRAMS)]
        self.strangers = [self.stranger(PROCD_ID=str(n), PROCD_SOCKET=socket)
                          for n in (1, 5, 20, 100) for socket in (self.procd.socket, self.procd.socket + '2')]
        self.model = Model(self.procd.socket, forkers=self.kind() == 'cgroup')
        self.addCleanup(self.model.ends.stop)
        self.epoch = 0
        self.model.epochs[self.procd.pid] = 0
        # The test is whose children the dead procd's become: whether they are reaped at once is its to say.
        if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            self.fail('cannot be a subreaper')
        self.subscriber = Subscriber(self.model)
        self.workers = []
        self.addCleanup(lambda: self.stop([*self.workers, self.subscriber]))

    def begin(self, *workers):
        self.workers = workers
        for worker in [*self.workers, self.subscriber]:
            worker.start()

    def stop(self, workers):
        for worker in workers:
            worker.over.set()
        for worker in filter(Worker.is_alive, workers):
            worker.join()

    def program(self, **env):
        return self.procd.popen('/bin/sleep', '1000', env={'PROCD_SOCKET': None, **env}, start_new_session=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stranger(self, **env):
        """What is not procd's, however much it looks like it."""
        return self.program(**env)

    # -- the kills
    def kill(self):
        begin = time.monotonic()
        self.procd.process.kill()
        self.procd.process.wait()
        self.procd.warm = False
        if random.random() < 0.3:
            self.replace_a_program()
        if random.random() < 0.3:
            self.kill_one_that_starts()
        self.start_again(begin)

    def restart(self):
        begin = time.monotonic()
        self.procd.process.kill()
        self.procd.process.wait()
        self.procd.warm = False
        self.start_again(begin)

    def start_again(self, killed):
        self.epoch += 1
        try:
            self.procd.start()
        finally:
            self.model.epochs[self.procd.pid] = self.epoch
        self.killed.append((killed, time.monotonic()))

    def kill_one_that_starts(self):
        self.epoch += 1
        with open(self.procd.stderr_path, 'ab') as log:
            starting = subprocess.Popen(self.procd.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env=self.procd.daemon_environment(), preexec_fn=self.procd._enter_group)
        self.model.epochs[starting.pid] = self.epoch
        time.sleep(random.uniform(0, 0.06))
        starting.kill()
        starting.wait()

    def replace_a_program(self):
        place = random.randrange(PROGRAMS)
        self.programs[place].kill()
        self.programs[place].wait()
        self.programs[place] = self.program()

    # -- what must hold
    def look(self):
        with Client(self.procd.socket) as client:
            processes = client.call('list')['processes']
        for process in processes:
            self.model.saw(process, self.epoch)
        return {process['id']: process for process in processes}

    def check_taken_back(self):
        before = [plan for plan in self.model.plans.values() if plan.acknowledged]
        records = self.look()
        for plan in before:
            process = records.get(plan.id)
            if process is None:
                # Who was never started is nobody's without an owner; a spawn that came to nothing leaves no record.
                if not plan.closing and (plan.born or not (plan.by_spawn or not self.model.owner_stays(plan))):
                    self.model.fail('is forgotten:', plan)
                continue
            born = plan.born is not None and plan.born < self.epoch
            if born and self.model.must_live(plan) and not (process['alive'] and lives(plan.pid)):
                self.model.fail('is to live:', plan, process)
            lease = getattr(plan.owner_is, 'epoch', self.epoch)
            if lease < self.epoch and process['pid'] and process['state'] == 'running':
                if plan.daemon:
                    self.model.fail('was to be ended with its owner:', process)
                elif process['owner']['kind'] != 'procd' or not process['owner']['was']:
                    self.model.fail('has an owner that is no more:', process)

    def check_orphans(self, deadline):
        """Who lives is known as alive."""
        strangers = {program.pid for program in self.strangers}
        found = {key: tag for key, tag in tagged(self.procd.socket).items() if key[0] not in strangers}
        records = self.look()
        orphans = [key for key, tag in found.items() if tag not in records or records[tag]['state'] == 'exited']
        wait_until(lambda: not [key for key in orphans if key in tagged(self.procd.socket)], deadline,
                   lambda: 'not known as alive: ' + '; '.join(
                       f'{describe(pid)} {start} of {found[pid, start]}: {records.get(found[pid, start])}' for pid, start in orphans))

    def check_exits(self):
        lost = 0
        for identity, (_, process) in self.model.exits.items():
            plan = self.model.by_id[identity]
            how = process['result']['how']
            if how == 'exec_failed':  # a start that the kill came before
                if plan.pid is not None or plan.by_spawn:
                    self.model.fail('could be started:', process, plan)
                continue
            if how == 'lost':
                lost += 1
                if process['exitcode'] is not None:
                    self.model.fail('lost, with a code:', process)
                if not self.may_be_lost(plan):
                    self.model.fail('lost, while procd was there:', plan, process)
            elif process['exitcode'] not in self.model.possible_codes(plan):
                self.model.fail('has another code:', process, plan)
            if not plan.touched and not plan.ends_itself() and process['result']['cause'] != 'owner':
                self.model.fail('ended for no reason:', process, plan)
        return lost

    def may_be_lost(self, plan):
        """It ended while there was no procd, or none that could have come to it yet, and another let its code go."""
        if plan.reaped_by_procd:
            return False
        if plan.seen_ended is None:
            return True
        return any(begin - LATE <= plan.seen_ended <= end + LATE for begin, end in self.killed)

    def settle(self):
        """All clients are gone: what is to end has ended."""
        self.stop(self.workers)

        def unsettled():
            records = self.look()
            return [process for process in records.values()
                    if process['state'] == 'stopping'
                    or (process['state'] == 'running' and self.model.must_end(self.model.by_id[process['id']]))
                    or process['owner']['kind'] in LEASES and process['state'] != 'exited']
        wait_until(lambda: not unsettled(), 15, lambda: f'not settled: {unsettled()}')

    def check(self):
        self.assertEqual(self.model.failures[:5], [], f'and {len(self.model.failures)} in all')
        self.assertEqual([program.poll() for program in self.strangers], [None] * len(self.strangers), 'strangers')

    def check_end(self):
        """Everything that can be known once all clients are gone; how many exit codes are lost."""
        self.settle()
        records = self.look()
        for plan in self.model.plans.values():
            if plan.acknowledged and plan.pid and self.model.must_live(plan) and not records[plan.id]['alive']:
                self.model.fail('is to live:', plan, records[plan.id])
        lost = self.check_exits()
        self.check_orphans(0.5)
        exited = {identity for identity, process in records.items() if process['state'] == 'exited'}
        wait_until(lambda: exited <= self.model.reported, 5,
                   lambda: f'not reported: {[records[identity] for identity in exited - self.model.reported]}')
        alive = {process['pid'] for process in records.values() if process['alive']}
        if self.procd.cgroup and self.kind() == 'cgroup':
            mains = {plan.pid for plan in self.model.plans.values()}
            self.assertEqual(mains.intersection(cgroup_members(self.procd.cgroup)), alive)
        self.check()
        for program in self.strangers:
            program.kill()
            program.wait()
        return lost
