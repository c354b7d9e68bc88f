//! The core from outside: traces in, findings and decisions out.

mod support;

mod traces;

mod properties;

mod control;

mod secret;

mod files;

mod tags;

mod fate;

mod replay;

mod documented;

mod machine;

mod world;
