"""Does one piece of work in confinement. A program, started by ``process`` with a JSON order on standard input.

The outer process leaves for new namespaces, starts the inner one, holds the clock, and at the end kills everything that
the inner one started. The inner one gives up its rights (``kernel``), writes "." to the result pipe, does the work
that the order names (``WORK``) and, if it came to its end, writes the order's secret word there: exiting early, with
whatever code, is no success. What prevents the confinement is written instead of the ".", after "!", and nothing is
run; what the tests cannot pass to the program, after ".?". A program that runs alone can find its own secret; only the
work ``judge``, in whose process no such program runs, gives a verdict that nobody can forge.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
kernel = importlib.import_module("kernel")
serve = importlib.import_module("serve")
verdicts = importlib.import_module("verdicts")
sys.path.pop(0)

TIMED_OUT = 124
_SPACES = kernel.NEW_MOUNT | kernel.NEW_PID | kernel.NEW_NET | kernel.NEW_IPC | kernel.NEW_UTS
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/random", "/dev/zero"),
)
# User ids that nobody hands out; the second range is for containers that map few.
_USERS = ((1_900_000_000, 4_194_304), (60_600, 500))


def python_folders() -> list[str]:
    """Where Python's own libraries lie, and those installed beside them."""
    paths = sysconfig.get_paths()
    folders = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders.append(os.path.join(sys.base_prefix, "lib"))
    return [folder for folder in map(os.path.realpath, folders) if os.path.dirname(folder) != folder]


def open_to_all(path: str) -> bool:
    """Whether any user may enter the folder and all above it."""
    while os.stat(path).st_mode & 0o001:
        above = os.path.dirname(path)
        if above == path:
            return True
        path = above
    return False


def outer(order: dict[str, Any]) -> int:
    """Start the inner process, wait for it, leave nothing behind; its exit code is 0 or ``TIMED_OUT``."""
    kernel.die_with_parent(signal.SIGTERM)
    if os.getppid() != order["parent"]:
        return 1  # it ended before the line above
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    user, root = os.getuid(), os.getuid() == 0
    try:
        own_spaces = enter_spaces(user, root, order["namespaces"])
    except OSError as error:
        return refuse(order, f"{error}; without root rights user namespaces are needed")
    kernel.adopt_orphans()
    inside = os.fork()
    if not inside:
        inner(order, user, own_spaces)
    try:
        return wait(inside, time.monotonic() + order["seconds"])
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(inside, signal.SIGKILL)  # the first process of its namespace takes all others with it
            os.waitpid(inside, 0)
        if not own_spaces:
            sweep(stranger(os.getpid()))


def enter_spaces(user: int, root: bool, wanted: bool) -> bool:
    """New namespaces; False: root goes without, behind a user id of its own. Raises: OSError: neither."""
    if root:
        if not wanted:
            return False
        try:
            kernel.unshare(_SPACES)
        except OSError:  # a container that keeps them from its root
            return False
        return True
    group = os.getgid()
    kernel.unshare(_SPACES | kernel.NEW_USER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return True


def stranger(process: int) -> int:
    """A user id for what root runs, different for every running outer process."""
    base, count = _USERS[0] if _maps(_USERS[0][0] + _USERS[0][1]) else _USERS[1]
    return base + process % count


def _maps(user: int) -> bool:
    """Whether the user namespace that this process lives in knows the id."""
    with open("/proc/self/uid_map") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    return any(first <= user < first + count for first, _, count in ranges)


def wait(process: int, deadline: float) -> int:
    """Until it ends or the time is over."""
    pause = 0.001
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return 0  # still to be reaped, so that its number belongs to nobody else
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
    return TIMED_OUT


def sweep(user: int) -> None:
    """Kill every process of a user id, as that user, and see them gone: this process has adopted them."""
    killer = os.fork()
    if not killer:
        try:
            become(user)
            os.kill(-1, signal.SIGKILL)  # spares the caller
        finally:
            os._exit(0)
    with suppress(ChildProcessError):
        while True:
            os.wait()


def become(user: int) -> None:
    """Drop root for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def alone(program: str) -> None:
    """Import the program, and that is all."""
    serve.load(program)


#: What an order may name as its work; the arguments are the order's.
WORK: dict[str, Callable[..., None]] = {"alone": alone, "serve": serve.work, "judge": verdicts.work}


def inner(order: dict[str, Any], user: int, own_spaces: bool) -> NoReturn:
    """Give up all rights, do the work, end."""
    try:
        confine(order, user, own_spaces)
    except Exception as error:  # nothing must run after a step that failed
        refuse(order, str(error))
        os._exit(1)
    work, arguments, result, secret = WORK[order["work"]], order["arguments"], order["result"], order["secret"]
    order.clear()
    os.write(result, b".")  # from here on a "!" is the program's
    if not secret:
        os.close(result)
    process = os.getpid()
    try:
        work(**arguments)
    except BaseException as error:
        if secret and isinstance(error, verdicts.Untransferable):
            os.write(result, f"?{error}".encode()[:500])
        with suppress(BaseException):
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(1)
    with suppress(BaseException):
        sys.stdout.flush()
    if secret and os.getpid() == process:  # a forked copy that comes to the end says nothing
        os.write(result, secret.encode())
    os._exit(0)


def confine(order: dict[str, Any], user: int, own_spaces: bool) -> None:
    """All steps, in the only order that works. Raises: OSError, ValueError: one of them is not possible here."""
    kernel.die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    scratch, outside = order["scratch"], user or stranger(order["outer"])
    if own_spaces:
        kernel.private_folder(scratch, order["scratch_bytes"], outside)
    else:
        os.chown(scratch, outside, outside)
    os.chdir(scratch)
    for name, amount in order["limits"].items():
        resource.setrlimit(getattr(resource, name), (amount, amount))
    libraries = [*python_folders(), *order["libraries"]]
    rules = kernel.landlock([*libraries, *_SYSTEM], [scratch], ["/dev/null"])
    if not user:
        # Python below root's own folder, which others cannot enter: Landlock still decides what can be read there.
        hidden = any(not open_to_all(path) for path in libraries)
        if hidden:
            kernel.keep_capabilities()
        become(outside)
        kernel.die_with_parent(signal.SIGKILL)
        kernel.drop_capabilities(but_reading=hidden)
    else:
        kernel.drop_capabilities()
    kernel.no_new_privileges()
    kernel.restrict_files(rules)
    kernel.filter_calls()
    roots = tuple(python_folders())
    own = [path for path in sys.path if os.path.realpath(path).startswith(roots)]
    sys.path[:] = [*own, *(path for path in order["libraries"] if path not in own)]


def refuse(order: dict[str, Any], why: str) -> int:
    """Say why the program did not run."""
    os.write(order["result"], f"!{why}".encode()[:500])
    return 1


def main() -> None:
    """Read the order, run it."""
    order = json.loads(sys.stdin.buffer.read())
    order["outer"] = os.getpid()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.exit(outer(order))


if __name__ == "__main__":
    main()
