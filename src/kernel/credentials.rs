//! User, groups, umask: becoming the container's user.
