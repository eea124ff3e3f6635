"""What made a result: versions and revision, kept beside it."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib.metadata import version

from radii._version import __version__


def versions() -> dict[str, str]:
    """Of everything whose change could move a vote."""
    libraries = {name: version(name) for name in ("torch", "numpy", "scipy")}
    return {"radii": __version__, **libraries, "python": platform.python_version()}


def git_revision() -> str | None:
    """The commit of the working directory, `+` appended if files differ from it; None without git.

    It is the revision of the user's code, in which the base classifier may be defined.
    """
    git = shutil.which("git")
    if git is None:
        return None
    head = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True)  # noqa: S603
    if head.returncode != 0:
        return None
    status = subprocess.run(  # noqa: S603
        [git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True
    )
    return head.stdout.strip() + ("+" if status.stdout.strip() else "")
