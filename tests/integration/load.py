"""Clients that keep a procd busy, and what its promises say must become of all that they start, told without it."""

import collections
import contextlib
import fcntl
import os
import random
import select
import struct
import subprocess
import threading
import time

from machine import lives
from wire import Client, Disconnected, RpcError

SH = '/bin/sh'
ENV = {'PATH': '/usr/bin:/bin'}
LEASES = ('connection', 'session')
# Of what was never touched and whose owner lives these run for ever; the others end by themselves, with a code of their own.
SCRIPTS = {
    'sleeper': 'exec sleep 1000',
    'parent': 'sleep 1000 & exec sleep 1000',
    'stubborn': 'trap "" TERM; exec sleep 1000',
    'polite': 'trap "exit {code}" TERM; sleep 1000 & wait',
    'brief': 'sleep {time}; exit {code}',
    'forker': '(setsid sleep 1000 &); sleep {time}; exit {code}',
}
ENDS_ITSELF = ('brief', 'forker')
# Two threads may want the same process at once, or one that is only just gone.
MAY_BE_REFUSED = {'no_such_process', 'not_started', 'already_started', 'still_running', 'owner_gone'}
FOR_GOOD = ('pid', 'started', 'ended', 'exitcode', 'result', 'daemon', 'command')  # of a process that has exited


class Plan:
    """One process as its client asked for it, and what the test itself saw of it."""

    def __init__(self, key, kind, daemon, owner, owner_is):
        self.key, self.kind, self.daemon, self.owner, self.owner_is = key, kind, daemon, owner, owner_is
        self.code = random.randrange(1, 120)
        self.script = SCRIPTS[kind].format(code=self.code, time=round(random.uniform(0.01, 0.6), 3))
        self.id = None
        self.pid = None
        self.born = None        # the epoch in which it had its pid first
        self.names = {key}      # that it may have by now
        self.acknowledged = False
        self.by_spawn = False
        self.started = False    # it was asked to, at least
        self.touched = False    # somebody asked for its end
        self.closing = False    # somebody asked to forget it
        self.pidfd = None
        self.seen_ended = None  # when the test knew
        self.reaped_by_procd = False
        self.truth = None       # its exit code as the kernel gave it to the test

    def params(self):
        params = dict(command=[SH, '-c', self.script, self.key], name=self.key, daemon=self.daemon, env=ENV, owner=self.owner, grace=5)
        if self.kind == 'stubborn':
            params['grace'] = 0.3
        return params

    def ends_itself(self):
        return self.kind in ENDS_ITSELF

    def __repr__(self):
        return str({k: v for k, v in vars(self).items() if k not in ('names', 'code', 'owner_is')})


class Lease:
    """A connection, with its sessions, as an owner."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.closed = False


class Ends(threading.Thread):
    """Sees main processes end, and how, by descriptors of the test's own; and may be init to those that lose their procd."""

    INFO = struct.Struct('QQ11Ii')   # struct pidfd_info
    GET_INFO = 3 << 30 | INFO.size << 16 | 0xFF << 8 | 11
    EXIT = 1 << 3
    PATIENCE = 3   # with a kernel that does not tell

    def __init__(self):
        super().__init__(daemon=True)
        self.poll = select.epoll()
        self.plans = {}
        self.reaps = False
        self.over = False

    def add(self, plan):
        try:
            plan.pidfd = fd = os.pidfd_open(plan.pid)
        except ProcessLookupError:
            plan.seen_ended = time.monotonic()
            return
        self.plans[fd] = plan
        self.poll.register(fd, select.EPOLLIN | select.EPOLLONESHOT)

    def run(self):
        ended = set()
        while not self.over:
            for fd, _ in self.poll.poll(0.1):
                self.plans[fd].seen_ended = time.monotonic()
                ended.add(fd)
            ended -= {fd for fd in ended if self.take_code(fd)}

    def take_code(self, fd):
        """False: its parent has not reaped it yet."""
        plan = self.plans[fd]
        info = bytearray(self.INFO.pack(self.EXIT, *[0] * 13))
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, self.GET_INFO, info)
            mask, *_, status = self.INFO.unpack(info)
            if mask & self.EXIT:
                plan.truth = os.waitstatus_to_exitcode(status)
                plan.reaped_by_procd = True
        with contextlib.suppress(ChildProcessError):  # it may have become the test's own
            ended = os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG | (0 if self.reaps else os.WNOWAIT))
            if ended:
                plan.truth = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        if plan.truth is None and time.monotonic() < plan.seen_ended + self.PATIENCE:
            return False
        del self.plans[fd]
        plan.pidfd = None
        os.close(fd)
        return True

    def stop(self):
        if not self.is_alive():
            raise AssertionError('nobody has looked at the ends')
        self.over = True
        self.join()
        for fd in self.plans:
            os.close(fd)
        self.poll.close()


class Model:
    """Everything that was asked and everything that was answered, by every client of every procd on the socket."""

    def __init__(self, socket, forkers):
        self.socket = socket
        self.kinds = [kind for kind in SCRIPTS if forkers or kind != 'forker']
        self.lock = threading.RLock()
        self.plans = {}             # by key
        self.by_id = {}
        self.sessions = set()
        self.exits = {}             # id: what was first told of its end
        self.events = collections.Counter()   # `exited`, by id
        self.reported = set()       # ids whose end a subscriber knows, by an event or by what it got at its beginning
        self.epochs = {}            # by the pid of a procd
        self.failures = []
        self.ends = Ends()
        self.ends.start()

    def fail(self, *what):
        with self.lock:
            self.failures.append(' '.join(map(str, what)))

    def epoch_of(self, pid):
        while pid not in self.epochs:
            time.sleep(0.001)
        return self.epochs[pid]

    # -- what was asked
    def plan(self, kind, daemon, owner, owner_is):
        with self.lock:
            plan = Plan(f'p{len(self.plans)}', kind, daemon, owner, owner_is)
            self.plans[plan.key] = plan
            return plan

    def some(self, condition, many=1):
        with self.lock:
            fit = [plan for plan in self.plans.values() if plan.acknowledged and condition(plan)]
        return random.sample(fit, min(many, len(fit)))

    def alive(self):
        with self.lock:
            return sum(plan.pidfd is not None and plan.seen_ended is None for plan in self.plans.values())

    # -- what was answered
    def session(self, identity):
        with self.lock:
            if identity in self.sessions:
                self.fail('session', identity, 'was given out twice')
            self.sessions.add(identity)

    def saw(self, process, epoch):
        """A process object, told by the procd of that epoch."""
        with self.lock:
            plan = self.plans[process['command'][3]]
            known = self.by_id.setdefault(process['id'], plan)
            if known is not plan or plan.id not in (None, process['id']):
                self.fail('id', process['id'], 'is of', plan, 'and was of', known)
            plan.id = process['id']
            plan.acknowledged = True
            if process['pid'] and plan.pid is None:
                plan.started = True
                plan.pid, plan.born = process['pid'], epoch
                if process['alive']:
                    self.ends.add(plan)
            # Two connections may tell the same thing, one of them later than the other.
            late = process['pid'] is None and plan.pid and plan.born == epoch
            if plan.pid != process['pid'] and not late:
                self.fail(process, 'had the pid', plan.pid)
            if process['name'] not in plan.names:
                self.fail(process, 'was called', plan.names)
            self._saw_end(process, epoch)
            return plan

    def _saw_end(self, process, epoch):
        first = self.exits.get(process['id'])
        if process['result'] is None:
            if first and first[0] < epoch:
                self.fail('had ended:', first, 'and has not:', process)
            return
        if first and (first[1]['exitcode'], first[1]['result']['how']) != (process['exitcode'], process['result']['how']):
            self.fail('ended twice:', first, process)
        if first and first[1]['state'] == 'exited':
            if process['state'] != 'exited' and first[0] < epoch:
                self.fail('had exited:', first, 'and has not:', process)
            if process['state'] == 'exited' and any(first[1][field] != process[field] for field in FOR_GOOD):
                self.fail('exited in two ways:', first, process)
        if not first or process['state'] == 'exited' != first[1]['state']:
            self.exits[process['id']] = epoch, process

    def event(self, kind, process, epoch):
        self.saw(process, epoch)
        if kind == 'exited':
            with self.lock:
                self.reported.add(process['id'])
                self.events[process['id']] += 1
                if self.events[process['id']] > 1:
                    self.fail('its end was told twice:', process)

    # -- what must be
    def owner_ended(self, plan):
        owner = plan.owner_is
        if isinstance(owner, Lease):
            return owner.closed or owner.epoch < max(self.epochs.values())
        if isinstance(owner, Plan):
            return owner.seen_ended is not None or owner.pidfd is None
        return owner is not None and owner.poll() is not None

    def owner_stays(self, plan):
        owner = plan.owner_is
        if isinstance(owner, Plan):
            return self.must_live(owner)
        return owner is None or (isinstance(owner, subprocess.Popen) and owner.poll() is None)

    def must_live(self, plan):
        return plan.started and not plan.touched and not plan.ends_itself() and (not plan.daemon or self.owner_stays(plan))

    def must_end(self, plan):
        return plan.ends_itself() or (plan.daemon and self.owner_ended(plan))

    def possible_codes(self, plan):
        if plan.truth is not None:
            return {plan.truth}
        own = {plan.code} if plan.ends_itself() or plan.kind == 'polite' else set()
        if plan.ends_itself() and not plan.touched and not (plan.daemon and plan.owner_is is not None):
            return own
        return own | {-15, -9}


class Worker(threading.Thread):
    """A client that asks for all kinds of things, one after the other, and comes back whenever its procd is gone."""

    def __init__(self, model, programs, population):
        super().__init__(daemon=True)
        self.model, self.programs, self.population = model, programs, population
        self.over = threading.Event()

    def run(self):
        try:
            while not self.over.is_set():
                try:
                    with Client(self.model.socket) as self.client:
                        self.live()
                except (OSError, Disconnected):
                    time.sleep(0.002)
        except BaseException as error:  # noqa: B902
            self.model.fail(type(error).__name__, error)
            raise

    def join_procd(self):
        self.epoch = self.model.epoch_of(self.client.call('hello')['pid'])
        self.lease = Lease(self.epoch)
        self.sessions = []

    def live(self):
        self.join_procd()
        try:
            while not self.over.is_set() and random.random() > 0.005:
                self.step()
                time.sleep(random.uniform(0, 0.01))
        finally:
            self.lease.closed = True

    def step(self):
        if self.model.alive() < self.population:
            return self.make()
        steps = {self.make: 6, self.end: 4, self.wait: 4, self.look: 4, self.rename: 2, self.close: 4, self.lend: 1, self.start_one: 3}
        with contextlib.suppress(IndexError):  # nobody there to do it to
            random.choices(list(steps), list(steps.values()))[0]()

    def ask(self, method, **params):
        """The answer, each process in it known to the model; None where it was refused for a reason that there may be."""
        try:
            answer = self.client.call(method, **params)
        except RpcError as error:
            if error.kind not in MAY_BE_REFUSED:
                self.model.fail(method, params, error)
            return None
        for process in answer.get('processes', [answer] if 'command' in answer else []):
            self.model.saw(process, self.epoch)
        return answer

    def owner(self):
        kind = random.choice(['connection', 'session', 'process', 'pid', 'procd'])
        if kind == 'connection' or (kind == 'session' and not self.sessions):
            return 'connection', self.lease
        if kind == 'session':
            return {'session': random.choice(self.sessions)}, self.lease
        if kind == 'pid':
            program = random.choice(self.programs)
            return {'pid': program.pid}, program
        if kind == 'process':
            for plan in self.model.some(lambda plan: plan.kind == 'sleeper' and plan.pidfd is not None):
                return {'process': plan.id}, plan
        return 'procd', None

    def make(self):
        plan = self.model.plan(random.choice(self.model.kinds), random.random() < 0.5, *self.owner())
        plan.started = plan.by_spawn = random.random() > 0.1
        self.ask('spawn' if plan.started else 'create', **plan.params())

    def start_one(self):
        plan = self.model.some(lambda plan: not plan.started and not plan.closing)[0]
        plan.started = True
        self.ask('start', process=plan.id)

    def end(self):
        plans = self.model.some(lambda plan: plan.pidfd is not None and plan.seen_ended is None, random.randrange(1, 4))
        for plan in plans:
            plan.touched = True
        if random.random() < 0.3:
            self.ask('kill', processes=[plans[0].id])
        else:
            self.ask('terminate', processes=[plan.id for plan in plans], grace=random.choice([0.1, 5]), wait=random.random() < 0.3)

    def wait(self):
        plans = self.model.some(lambda plan: plan.started and not plan.closing, random.randrange(1, 4))
        self.ask('wait', processes=[plan.id for plan in plans], mode=random.choice(['any', 'all']), timeout=random.choice([0, 0.1, 1]))

    def look(self):
        if random.random() < 0.1:
            self.ask('list')
        else:
            self.ask('status', process=self.model.some(lambda plan: not plan.closing)[0].id)

    def rename(self):
        plan = self.model.some(lambda plan: not plan.closing)[0]
        self.ask('rename', process=plan.id, name=self.renamed(plan))

    def renamed(self, plan):
        name = f'{plan.key}-{random.randrange(1000)}'
        plan.names.add(name)
        return name

    def close(self):
        plan = self.model.some(lambda plan: not plan.closing and plan.id in self.model.exits)[0]
        plan.closing = True
        self.ask('close', processes=[plan.id])

    def lend(self):
        session = self.ask('session')['session']
        self.model.session(session)
        self.sessions.append(session)


class Subscriber(Worker):
    """Is told everything."""

    def __init__(self, model):
        super().__init__(model, [], 0)

    def live(self):
        self.epoch = self.model.epoch_of(self.client.call('hello')['pid'])
        for process in self.ask('subscribe')['processes']:
            if process['state'] == 'exited':
                self.model.reported.add(process['id'])
        while not self.over.is_set():
            if not (self.client.notifications or self.client.lines) and not select.select([self.client.sock], [], [], 0.1)[0]:
                continue
            event = self.client.notification()['params']
            if event.get('overflow'):
                return
            self.model.event(event['type'], event['process'], self.epoch)


def tagged(socket):
    """Living processes that say they are of a procd on this socket: pid and start time, with the id that they say."""
    found = {}
    mark = f'PROCD_SOCKET={socket}'.encode()
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f'/proc/{pid}/environ', 'rb') as f:
                environment = f.read().split(b'\0')
            if mark not in environment or not lives(pid):
                continue
            with open(f'/proc/{pid}/stat', 'rb') as f:
                start = int(f.read().rpartition(b')')[2].split()[19])
            tag = [int(entry[9:]) for entry in environment if entry.startswith(b'PROCD_ID=')]
            found[int(pid), start] = tag[0] if tag else None
    return found
