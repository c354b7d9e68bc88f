//! Much CPU, little variety of acts.
