//! Terminal and network interface ioctls.
