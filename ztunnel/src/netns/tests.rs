//! What holds for namespaces that an ordinary test may use: its own, and things that are none.

use std::fs::File;

use super::*;

#[test]
fn work_in_the_own_namespace_needs_no_rights() {
    let home = Home::current().unwrap();
    let own = Namespace::new(File::open("/proc/self/ns/net").unwrap().into(), &home).unwrap();
    assert_eq!(own.within(|| 7).unwrap(), 7);
    assert_eq!(own.on_thread(|| 8).unwrap(), 8);
    assert_eq!(own.id(), home.id);
}

#[test]
fn refuses_a_descriptor_that_is_no_network_namespace() {
    let home = Home::current().unwrap();
    let file = File::open("/proc/self/status").unwrap();
    assert!(Namespace::new(file.into(), &home).is_err());
}

#[test]
fn a_panic_on_the_thread_is_an_error_not_a_panic_here() {
    let home = Home::current().unwrap();
    let own = Namespace::new(File::open("/proc/self/ns/net").unwrap().into(), &home).unwrap();
    let outcome: std::io::Result<()> = own.on_thread(|| panic!("inside"));
    assert!(outcome.is_err());
}
