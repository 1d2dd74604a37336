//! Encodings against bytes written out by hand from the kernel's header; the kernel itself is asked in `tests/`.
