"""deny.py NUMBER ARGUMENT MASK ERRNO -- COMMAND …: runs a command for which one system call fails when an
argument has one of these bits, as on a kernel that does not know the flag."""

import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def filter_of(number, argument, mask, errnum):
    """seccomp_data: nr at 0, the low half of argument n at 16 + 8 n."""
    steps = [(LOAD, 0, 0, 0), (JUMP_EQUAL, 0, 3, number), (LOAD, 0, 0, 16 + 8 * argument), (JUMP_SET, 0, 1, mask),
             (RETURN, 0, 0, ERRNO | errnum), (RETURN, 0, 0, ALLOW)]  # fmt: skip
    return b"".join(struct.pack("=HBBI", *step) for step in steps), len(steps)


def main():
    *numbers, separator = sys.argv[1:6]
    assert separator == "--"
    code, length = filter_of(*(int(number, 0) for number in numbers))
    text = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", length, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    os.execv(sys.argv[6], sys.argv[6:])


main()
