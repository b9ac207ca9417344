"""The kernel's means of confinement, by plain system calls: namespaces, Landlock, seccomp. Linux, x86-64 or arm64.

Imports nothing of the package, so that a process can use it before it gives its rights away.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable

_libc = ctypes.CDLL(None, use_errno=True)

NEW_MOUNT, NEW_UTS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET = (
    0x20000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_NEW_ANY = 0x7E020000
_PDEATHSIG, _KEEPCAPS, _SECCOMP, _SUBREAPER, _NO_NEW_PRIVS = 1, 8, 22, 36, 38
_READ_SEARCH = 1 << 2
_REC_PRIVATE, _NOSUID_NODEV = (1 << 14) | (1 << 18), 2 | 4
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

# Rights over files of Landlock's first version: execute, write, read, list, and ten that change folders.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_ALL_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_RIGHTS_NOW = (1 << 16) - 1
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

# What a solution never needs and what could lead out: sockets, new namespaces and mounts, other processes' memory,
# kernel keys and programs, memory that no limit counts; and what Landlock does not look at: modes, owners, times and
# attributes of files, and (before Linux 6.2) cutting them short by name.
_X86 = {
    "socket": 41, "shmget": 29, "semget": 64, "msgget": 68, "ptrace": 101, "syslog": 103, "pivot_root": 155,
    "chroot": 161, "mount": 165, "umount2": 166, "init_module": 175, "mq_open": 240, "kexec_load": 246,
    "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298, "fanotify_init": 300,
    "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313,
    "memfd_create": 319, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
    "truncate": 76, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "utime": 132, "setxattr": 188,
    "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "utimes": 235,
    "fchownat": 260, "futimesat": 261, "fchmodat": 268, "utimensat": 280,
}  # fmt: skip
_ARM = {
    "socket": 198, "shmget": 194, "semget": 190, "msgget": 186, "ptrace": 117, "syslog": 116, "pivot_root": 41,
    "chroot": 51, "mount": 40, "umount2": 39, "init_module": 105, "mq_open": 180, "kexec_load": 104,
    "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97, "perf_event_open": 241, "fanotify_init": 262,
    "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "finit_module": 273,
    "memfd_create": 279, "kexec_file_load": 294, "bpf": 280, "userfaultfd": 282,
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "truncate": 45, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "utimensat": 88,
}  # fmt: skip
_BOTH = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsmount": 432, "pidfd_getfd": 438, "mount_setattr": 442, "memfd_secret": 447,
    "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466, "file_setattr": 469,
}  # fmt: skip
#: Machine -> its audit number, its number of clone, the calls that are refused.
_MACHINES = {
    "x86_64": (0xC000003E, 56, {**_X86, **_BOTH}),
    "aarch64": (0xC00000B7, 220, {**_ARM, **_BOTH}),
}
_CLONE3 = 435


def _done(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def die_with_parent(signal: int) -> None:
    """Get ``signal`` when the parent ends; a change of user id takes it back. Raises: OSError."""
    _done(_libc.prctl(_PDEATHSIG, signal, 0, 0, 0), "parent-death signal")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends. Raises: OSError."""
    _done(_libc.prctl(_SUBREAPER, 1, 0, 0, 0), "orphans")


def unshare(flags: int) -> None:
    """Leave the given namespaces for new ones; that of processes holds for children. Raises: OSError."""
    _done(_libc.unshare(flags), "namespaces")


def private_folder(path: str, size: int, user: int) -> None:
    """Mount an empty folder of at most ``size`` bytes, seen in this mount namespace alone. Raises: OSError."""
    _done(_libc.mount(b"none", b"/", None, _REC_PRIVATE, None), "private mounts")
    options = f"size={size},nr_inodes=4096,mode=0700,uid={user},gid={user}".encode()
    _done(_libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", _NOSUID_NODEV, options), "scratch folder")


def keep_capabilities() -> None:
    """Let the next change of user id keep them, so that all but one can then be dropped. Raises: OSError."""
    _done(_libc.prctl(_KEEPCAPS, 1, 0, 0, 0), "capabilities")


def drop_capabilities(but_reading: bool = False) -> None:
    """Give up all capabilities, or all but reading past file permissions (not past Landlock). Raises: OSError."""
    kept = _READ_SEARCH if but_reading else 0
    header, sets = struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", kept, kept, 0, 0, 0, 0)
    _done(_libc.capset(header, sets), "capabilities")


def no_new_privileges() -> None:
    """No program started from here gains rights; Landlock and seccomp ask for it. Raises: OSError."""
    _done(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")


def landlock(readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> int:
    """A rule set: read below ``readable``, all but execution below ``writable``, read and write ``devices``.

    Returns its file descriptor, to be given to :func:`restrict_files`. Paths that do not exist are left out. Raises:
    OSError: the kernel has no Landlock (Linux 5.13), or it is off.
    """
    version = _done(_libc.syscall(_CREATE_RULESET, None, 0, 1), "Landlock")
    handled = _ALL_RIGHTS.get(version, _ALL_RIGHTS_NOW)
    network, scopes = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    attributes = struct.pack("=QQQ", handled, network, scopes)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = _done(_libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0), "Landlock")
    for paths, rights in (
        (readable, _READ_FILE | _READ_DIR),
        (writable, handled & ~_EXECUTE),
        (devices, _READ_FILE | _WRITE_FILE),
    ):
        for path in paths:
            _allow(rules, path, rights & handled)
    return rules


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not os.path.isdir(path):
            rights &= _FILE_RIGHTS
        _done(_libc.syscall(_ADD_RULE, rules, 1, struct.pack("=Qi", rights, place), 0), f"Landlock rule for {path}")
    finally:
        os.close(place)


def restrict_files(rules: int) -> None:
    """Hold this process and its children to a rule set, for good. Raises: OSError."""
    _done(_libc.syscall(_RESTRICT_SELF, rules, 0), "Landlock")
    os.close(rules)


def filter_calls() -> None:
    """Refuse the system calls listed above in this process and its children, for good.

    Raises: OSError: the kernel has no seccomp, or the machine is neither x86-64 nor arm64.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise OSError(errno.ENOSYS, f"seccomp filter: not written for {platform.machine()}")
    code = _program(*machine)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    program = Program(len(code) // 8, ctypes.addressof(buffer))
    _done(_libc.prctl(_SECCOMP, 2, ctypes.byref(program), 0, 0), "seccomp")


def _program(audit: int, clone: int, refused: dict[str, int]) -> bytes:
    """Classic BPF over (number, machine, ..., first argument): each instruction is code, two jumps, a value."""
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill, deny, missing = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
    lines = [(load, 0, 0, 4), (equal, 1, 0, audit), (give, 0, 0, kill), (load, 0, 0, 0)]
    if audit == _MACHINES["x86_64"][0]:
        lines += [(at_least, 0, 1, 0x40000000), (give, 0, 0, deny)]  # the second numbering of calls, x32
    for number in refused.values():
        lines += [(equal, 0, 1, number), (give, 0, 0, deny)]
    # clone3 hides its flags behind a pointer; told that it is missing, the C library takes clone.
    lines += [(equal, 0, 1, _CLONE3), (give, 0, 0, missing)]
    lines += [
        (equal, 0, 3, clone),
        (load, 0, 0, 16),
        (any_bit, 0, 1, _NEW_ANY),
        (give, 0, 0, deny),
        (give, 0, 0, allow),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
