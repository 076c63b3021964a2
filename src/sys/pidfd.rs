//! pidfd_open(2), pidfd_send_signal(2) and waiting on a pidfd.
