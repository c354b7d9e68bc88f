//! The core from outside: traces in, findings and decisions out.

mod support;

mod traces;

mod properties;

mod control;

mod decider;

mod replay;

mod documented;
