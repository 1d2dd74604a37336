//! Copying between streams of every kind.
