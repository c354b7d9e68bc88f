//! Where metrics are shown beside the control socket: over HTTP at a unix socket, and in a file for
//! the textfile collector of `node_exporter`. Both are off unless they are configured.

pub mod http;

pub mod textfile;
