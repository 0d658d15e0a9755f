#!/usr/bin/env python3
"""Counts what ctest ran, from its JUnit file: "N passed, N failed, N skipped".

A doctest program is one test to ctest; here each of its test cases counts. A program that did not get as far as
doctest's summary, or that failed with no failed test case, is one failure.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

SUMMARY = re.compile(r"test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")


def count(test: ElementTree.Element) -> tuple[int, int, int]:
    status = test.get("status")
    if status in ("disabled", "notrun") and test.find("skipped") is not None:
        return 0, 0, 1
    summary = SUMMARY.search(test.findtext("system-out") or "")
    passed, failed, skipped = map(int, summary.groups()) if summary else (0, 0, 0)
    if status == "run":
        return passed or (0 if summary else 1), failed, skipped
    return passed, max(failed, 1), skipped


def main(path: str) -> int:
    totals = [sum(column) for column in zip(*map(count, ElementTree.parse(path).iter("testcase")), strict=True)]
    passed, failed, skipped = totals or (0, 0, 0)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if totals else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
