//! Tunnels end to end.
