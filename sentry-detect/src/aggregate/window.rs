//! Fixed windows over counter readings and events.
