//! Calls that a 32-bit x86 program may also make through `socketcall` or `ipc`, whose first argument says which
//! (socketcall(2), ipc(2); the numbers are those of `linux/net.h` and `linux/ipc.h`).

use super::{Argument, Condition, Operator, Syscall};

/// The other way to make a call.
pub(super) struct Detour {
    name: &'static str,
    /// Its number on x86.
    pub(super) number: u32,
    /// What its first argument looks like.
    pub(super) condition: [Condition; 1],
}

/// The detour `socketcall` or `ipc` offers, if any.
pub(super) fn detour(syscall: Syscall) -> Option<&'static Detour> {
    let name = syscall.name();
    DETOURS.iter().find(|detour| detour.name == name)
}

const fn socketcall(name: &'static str, call: u64) -> Detour {
    let operator = Operator::Equal;
    Detour {
        name,
        number: 102,
        condition: [Condition { argument: Argument::FIRST, operator, value: call }],
    }
}

/// The upper half of the first argument is a version.
const fn ipc(name: &'static str, call: u64) -> Detour {
    let operator = Operator::MaskedEqual { mask: 0xffff };
    Detour {
        name,
        number: 117,
        condition: [Condition { argument: Argument::FIRST, operator, value: call }],
    }
}

static DETOURS: [Detour; 32] = [
    socketcall("socket", 1),
    socketcall("bind", 2),
    socketcall("connect", 3),
    socketcall("listen", 4),
    socketcall("accept", 5),
    socketcall("getsockname", 6),
    socketcall("getpeername", 7),
    socketcall("socketpair", 8),
    socketcall("send", 9),
    socketcall("recv", 10),
    socketcall("sendto", 11),
    socketcall("recvfrom", 12),
    socketcall("shutdown", 13),
    socketcall("setsockopt", 14),
    socketcall("getsockopt", 15),
    socketcall("sendmsg", 16),
    socketcall("recvmsg", 17),
    socketcall("accept4", 18),
    socketcall("recvmmsg", 19),
    socketcall("sendmmsg", 20),
    ipc("semop", 1),
    ipc("semget", 2),
    ipc("semctl", 3),
    ipc("semtimedop", 4),
    ipc("msgsnd", 11),
    ipc("msgrcv", 12),
    ipc("msgget", 13),
    ipc("msgctl", 14),
    ipc("shmat", 21),
    ipc("shmdt", 22),
    ipc("shmget", 23),
    ipc("shmctl", 24),
];
