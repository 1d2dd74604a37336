//! Handshakes that succeed and every way they must not.
