//! Resources of which only some fields are read: the rest of an object is never kept.

/// Where a type with a field `metadata` is found in the API: its group, and what one and many are called. All are of version `v1`.
macro_rules! resource {
    ($of:ty, $group:literal, $kind:literal, $plural:literal) => {
        impl kube::core::Resource for $of {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                "v1".into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
pub(super) use resource;
