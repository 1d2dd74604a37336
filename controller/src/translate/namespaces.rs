//! Pure. The labels of a namespace, as selectors see them.

use objects::labels::Labels;
use objects::meta::Metadata;

/// The label that Kubernetes gives every namespace: its name.
const NAME: &str = "kubernetes.io/metadata.name";

/// The labels of namespace `name`, with the one that says its name; also when the namespace is not known.
pub fn labels(name: &str, metadata: Option<&Metadata>) -> Labels {
    let own = metadata.map(|it| &it.labels);
    let own = own.into_iter().flat_map(Labels::iter);
    own.chain([(NAME, name)]).collect()
}
