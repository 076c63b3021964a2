//! AppArmor and SELinux labels of a process about to exec.
