//! Paths as text.

/// The last component: `cat` of `/usr/bin/cat`, `bin` of `/usr/bin/`. Text without a slash, such as
/// `memfd:x`, is its own name.
#[must_use]
pub fn base_name(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some((_, name)) => name,
        None if path.starts_with('/') => "/",
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::base_name;

    #[test]
    fn a_base_name_is_the_last_component() {
        let names = ["/usr/bin/cat", "/usr/bin/", "/", "", "memfd:x"].map(base_name);
        assert_eq!(names, ["cat", "bin", "/", "", "memfd:x"]);
    }
}
