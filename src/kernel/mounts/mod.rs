//! Mounts, as plain operations, and how each is carried out by descriptors.
