//! passwd(5), group(5), subuid(5): our own small parser, for a static glibc has no NSS.
