//! Why a data file cannot be used.

/// A data file of shapes, classes or places is broken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    #[error("read {file}")]
    Toml { file: &'static str, source: toml::de::Error },
    #[error("read {file}: a pattern of {of} is broken")]
    Glob { file: &'static str, of: String, source: globset::Error },
    #[error("read {file}: an expression of {of} is broken")]
    Regex { file: &'static str, of: String, source: regex::Error },
}
