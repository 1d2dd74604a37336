//! The directory source and sink over real files.

#[cfg(test)]
mod source;
#[cfg(test)]
mod sink;
#[cfg(test)]
mod support;
