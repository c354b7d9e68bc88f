//! Whether tests may take long.

/// Everything the acceptance asks for, however long it takes.
pub(crate) fn long() -> bool {
    std::env::var_os("AGENTSENTRY_LONG").is_some_and(|value| value == "1")
}
