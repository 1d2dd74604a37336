//! What is written is read back as it was, and no bytes at all make the readers panic.

use mesh::wire::{Update, address, attached, policy, routes, waypoint};
use proptest::prelude::*;

use crate::{draw, strategy};

proptest! {
    #[test]
    fn a_workload_comes_back_as_it_was(value in strategy::workload()) {
        let read = address::decode(&address::encode_workload(&value)).unwrap();
        prop_assert_eq!(read, Update::Workload(Box::new(value)));
    }

    #[test]
    fn a_service_comes_back_as_it_was(value in strategy::service()) {
        let read = address::decode(&address::encode_service(&value)).unwrap();
        prop_assert_eq!(read, Update::Service(Box::new(value)));
    }

    #[test]
    fn a_policy_comes_back_as_it_was(value in strategy::policy()) {
        prop_assert_eq!(policy::decode(&policy::encode(&value)).unwrap(), value);
    }

    #[test]
    fn routes_come_back_as_they_were(value in draw::service_routes()) {
        prop_assert_eq!(routes::decode(&routes::encode(&value)).unwrap(), value);
    }

    #[test]
    fn an_attached_policy_comes_back_as_it_was(value in draw::attached_policy()) {
        prop_assert_eq!(attached::decode(&attached::encode(&value)).unwrap(), value);
    }

    #[test]
    fn a_waypoint_comes_back_as_it_was(value in draw::waypoint()) {
        prop_assert_eq!(waypoint::decode(&waypoint::encode(&value)).unwrap(), value);
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(address::decode(&bytes));
        drop(policy::decode(&bytes));
        drop(routes::decode(&bytes));
        drop(attached::decode(&bytes));
        drop(waypoint::decode(&bytes));
    }

    #[test]
    fn damaged_messages_for_waypoints_are_read_or_refused(
        service in draw::service_routes(),
        rules in draw::attached_policy(),
        settings in draw::waypoint(),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let damaged = |bytes: bytes::Bytes| {
            let mut bytes = bytes.to_vec();
            let place = at.index(bytes.len());
            bytes[place] ^= with;
            bytes
        };
        drop(routes::decode(&damaged(routes::encode(&service))));
        drop(attached::decode(&damaged(attached::encode(&rules))));
        drop(waypoint::decode(&damaged(waypoint::encode(&settings))));
    }

    #[test]
    fn damaged_messages_are_read_or_refused(
        value in strategy::workload(),
        rules in strategy::policy(),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let mut bytes = address::encode_workload(&value).to_vec();
        let place = at.index(bytes.len());
        bytes[place] = with;
        drop(address::decode(&bytes));
        drop(address::decode(&bytes[..place]));
        let mut bytes = policy::encode(&rules).to_vec();
        let place = at.index(bytes.len());
        bytes[place] ^= with;
        drop(policy::decode(&bytes));
    }
}
