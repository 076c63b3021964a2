//! A seqpacket socket that carries bytes and descriptors. Knows nothing of their meaning.
