//! Births outrun what a working agent does.
