#!/usr/bin/env python3
"""Runs the integration tests: each test method in a process of its own, several at once.

    tests/integration/run.py                        everything
    tests/integration/run.py -k owners --repeat 10  what matches, ten times
    tests/integration/run.py --containment both     everything under each kind of containment

The last line is `N passed, N failed` (and `, N skipped` where some were).
"""

import argparse
import contextlib
import faulthandler
import fnmatch
import glob
import os
import selectors
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import harness  # noqa: E402

PASSED, FAILED, SKIPPED = 0, 1, 77
DEFAULT_LIMIT = 60
AFTER_LIMIT = 20   # for a test to clean up after its limit, before it is killed


class TimeLimit(BaseException):
    pass


def discover(patterns):
    """Every test method as (name, time limit, alone)."""
    found = []
    for path in sorted(glob.glob(os.path.join(HERE, 'test_*.py'))):
        module = __import__(os.path.basename(path)[:-3])
        for suite in unittest.defaultTestLoader.loadTestsFromModule(module):
            for test in suite:
                if isinstance(test, unittest.loader._FailedTest):
                    raise SystemExit(f'{path}: {test._exception}')
                name = test.id()
                if patterns and not any(p in name or fnmatch.fnmatch(name, p) for p in patterns):
                    continue
                method = getattr(test, test._testMethodName)
                found.append((name, getattr(method, 'time_limit', DEFAULT_LIMIT), getattr(method, 'alone', False)))
    return found


def run_one(name, limit, containment):
    """In the child: runs one test and returns the exit status."""
    def too_late(_signal, _frame):
        signal.setitimer(signal.ITIMER_REAL, 5)  # whatever swallowed it meets it again
        raise TimeLimit(f'the test took longer than its limit of {limit} s')

    faulthandler.register(signal.SIGUSR1, all_threads=True)
    signal.signal(signal.SIGALRM, too_late)
    if containment:
        os.environ['PROCD_TEST_CONTAINMENT'] = containment
    result = unittest.TestResult()
    test = unittest.defaultTestLoader.loadTestsFromName(name)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        test.run(result)
    except TimeLimit:
        traceback.print_exc()
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    for _, text in result.errors + result.failures:
        print(text, file=sys.stderr)
    if result.errors or result.failures or result.unexpectedSuccesses:
        return FAILED
    if result.skipped:
        print(result.skipped[0][1], file=sys.stderr)
        return SKIPPED
    return PASSED


class Job:
    def __init__(self, name, limit, alone, containment):
        self.name, self.limit, self.alone, self.containment = name, limit, alone, containment
        self.title = f'[{containment}] {name}' if containment else name

    def start(self):
        self.output = tempfile.TemporaryFile()
        sys.stdout.flush()
        sys.stderr.flush()
        self.begin = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            status = FAILED
            try:
                os.setpgid(0, 0)
                null = os.open('/dev/null', os.O_RDONLY)
                os.dup2(null, 0)
                os.dup2(self.output.fileno(), 1)
                os.dup2(self.output.fileno(), 2)
                sys.stdout = open(1, 'w', buffering=1, closefd=False)
                sys.stderr = open(2, 'w', buffering=1, closefd=False)
                status = run_one(self.name, self.limit, self.containment)
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(status)
        with contextlib.suppress(OSError):
            os.setpgid(self.pid, self.pid)
        self.pidfd = os.pidfd_open(self.pid)
        self.deadline = self.begin + self.limit + AFTER_LIMIT
        return self

    def kill(self):
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def finish(self):
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.pidfd)
        self.seconds = time.monotonic() - self.begin
        self.output.seek(0)
        self.text = self.output.read().decode(errors='replace')
        self.output.close()
        if status < 0:
            self.text += f'the test itself was ended by signal {-status}'
            if self.seconds >= self.limit:
                self.text += f': it did not clean up within {AFTER_LIMIT} s of its limit of {self.limit} s'
            self.text += '\n'
        mount = harness.cgroup2_mount()
        for path in glob.glob(os.path.join(glob.escape(mount), f'procd-test-{self.pid}-*')) if mount else []:
            harness.remove_cgroup(path)
        for path in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), f'procd-test-{self.pid}-*')):
            shutil.rmtree(path, ignore_errors=True)
        return status


def run_jobs(jobs, workers, report):
    selector = selectors.DefaultSelector()
    running, waiting = {}, list(jobs)
    try:
        while running or waiting:
            while waiting and len(running) < workers:
                job = waiting.pop(0).start()
                running[job.pidfd] = job
                selector.register(job.pidfd, selectors.EVENT_READ)
            nearest = min(job.deadline for job in running.values())
            for key, _ in selector.select(max(0.0, nearest - time.monotonic())):
                job = running.pop(key.fd)
                selector.unregister(key.fd)
                report(job, job.finish())
            for job in running.values():
                if time.monotonic() > job.deadline:
                    job.kill()
                    job.deadline += 3600
    except KeyboardInterrupt:
        for job in running.values():
            job.kill()
            job.finish()
        raise


def main():
    # Whoever starts this in the background, or under nohup, has these ignored; the tests' programs must not inherit that.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('-k', metavar='PATTERN', action='append', help='only tests whose name has this in it (or matches it as a glob)')
    parser.add_argument('-j', metavar='N', type=int, default=2 * (os.cpu_count() or 1), help='how many at once')
    parser.add_argument('--repeat', metavar='N', type=int, default=1, help='each test so many times')
    parser.add_argument('--containment', choices=['auto', 'cgroup', 'subreaper', 'both'], help='the kind that procd is told to use')
    parser.add_argument('-v', action='store_true', help='a line for each test, not for the failed ones only')
    parser.add_argument('-l', '--list', action='store_true', help='print the names and do nothing')
    arguments = parser.parse_args()

    tests = discover(arguments.k)
    if arguments.list:
        print(*(name for name, _, _ in tests), sep='\n')
        return 0
    kinds = ['cgroup', 'subreaper'] if arguments.containment == 'both' else [arguments.containment]
    if 'cgroup' in kinds and not harness.cgroup_usable():
        print('no writable cgroup here: the tests with --containment cgroup are left out')
        kinds.remove('cgroup')
    jobs = [Job(name, limit, alone, kind)
            for _ in range(arguments.repeat) for kind in kinds for name, limit, alone in tests]

    counts = {PASSED: 0, FAILED: 0, SKIPPED: 0}
    failed = []

    def report(job, status):
        status = status if status in counts else FAILED
        counts[status] += 1
        word = {PASSED: 'ok  ', FAILED: 'FAIL', SKIPPED: 'skip'}[status]
        if status == FAILED:
            failed.append(job.title)
        if status == FAILED or arguments.v:
            print(f'{word} {job.title} ({job.seconds:.2f} s)', flush=True)
        if job.text.strip() and (status == FAILED or (status == SKIPPED and arguments.v)):
            print(''.join(f'     {line}\n' for line in job.text.rstrip().splitlines()), end='', flush=True)

    begin = time.monotonic()
    run_jobs([j for j in jobs if not j.alone], max(1, arguments.j), report)
    run_jobs([j for j in jobs if j.alone], 1, report)
    if failed:
        print('failed:', *sorted(set(failed)), sep='\n  ')
    print(f'{len(jobs)} tests in {time.monotonic() - begin:.1f} s')
    summary = f'{counts[PASSED]} passed, {counts[FAILED]} failed'
    if counts[SKIPPED]:
        summary += f', {counts[SKIPPED]} skipped'
    print(summary)
    return 1 if failed or not jobs else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
