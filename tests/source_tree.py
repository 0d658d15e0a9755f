"""What belongs to the project: the walk that every check of the sources shares."""

import os
from collections.abc import Iterator
from pathlib import Path

CXX = {".cpp", ".hpp"}
_NOT_OURS = {".git", "build", "__pycache__"}


def project_files(root: Path) -> Iterator[Path]:
    """Every file below root, relative to it, but for what version control and the build make."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _NOT_OURS)
        for name in sorted(files):
            path = Path(folder, name)
            if name not in _NOT_OURS and not path.is_symlink():
                yield path.relative_to(root)


def cxx_files(root: Path) -> list[Path]:
    return [path for path in project_files(root) if path.suffix in CXX]
