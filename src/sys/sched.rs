//! sched_setattr(2), ioprio_set(2), set_mempolicy(2), sched_setaffinity(2).
