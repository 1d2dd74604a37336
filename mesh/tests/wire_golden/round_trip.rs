//! What is written is read back as it was, and no bytes at all make the readers panic.

use mesh::wire::{Update, address, policy};
use proptest::prelude::*;

use crate::strategy;

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
    fn arbitrary_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(address::decode(&bytes));
        drop(policy::decode(&bytes));
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
