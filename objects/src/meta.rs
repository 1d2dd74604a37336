//! Pure. The metadata every object carries, as far as Weft reads it.

use serde::Deserialize;

use crate::labels::Labels;

/// `metadata` of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// The object's name; unique with kind and namespace.
    pub name: String,
    /// Its namespace; empty for kinds without one, filled in with `default` otherwise.
    pub namespace: String,
    /// Tells this object from an earlier one of the same name. A source always fills it in.
    pub uid: String,
    /// Labels: for selecting.
    pub labels: Labels,
    /// Annotations: for saying.
    pub annotations: Labels,
    /// The API server's version of the object; empty from a directory.
    pub resource_version: String,
    /// Counts changes of the specification; 0 when unknown.
    pub generation: i64,
    /// RFC 3339, when the document says so.
    pub creation_timestamp: Option<String>,
    /// RFC 3339; set while the object is being deleted.
    pub deletion_timestamp: Option<String>,
    /// Who made this object.
    pub owner_references: Vec<OwnerReference>,
}

/// An entry of `ownerReferences`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OwnerReference {
    /// API version of the owner.
    pub api_version: String,
    /// Kind of the owner, as text: the owner may be of a kind Weft does not read.
    pub kind: String,
    /// Name of the owner; same namespace or none.
    pub name: String,
    /// Uid of the owner.
    pub uid: String,
    /// Whether this owner is the one that manages the object.
    pub controller: bool,
}

impl Metadata {
    /// Whether the object is on its way out.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// The owner that manages this object, if it has one.
    #[must_use]
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}
