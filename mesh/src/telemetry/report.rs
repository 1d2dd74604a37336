//! An error with all its causes, on one line.

use std::error::Error;
use std::fmt::Write;

/// Joins an error and its causes with `: `; used once, where the error is handled.
pub fn report(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let _ = write!(text, ": {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("could not read token {path}")]
    struct Outer {
        path: &'static str,
        source: io::Error,
    }

    #[test]
    fn prints_every_level_once() {
        let error = Outer {
            path: "t",
            source: io::Error::other("gone"),
        };
        assert_eq!(super::report(&error), "could not read token t: gone");
    }
}
