//! Watches objects, translates them, serves them to the proxies, signs certificates.
