//! Deployments, StatefulSets and Jobs against pictures.
