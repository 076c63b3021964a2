//! Pseudo-terminals: made inside, handed out, relayed.
