//! Members `type`.

/// The one value of a member `type`: a reader of mixed lines knows by it what a line is.
macro_rules! type_of {
    ($(#[$doc:meta])* $name:ident { $value:ident }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            #[default]
            $value,
        }
    };
}
pub(crate) use type_of;
