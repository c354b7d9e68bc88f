//! A complete configuration with every default.

use sentry_service::size::Bytes;

use super::file::{
    DEFAULT_DATA_DIR, DEFAULT_GRPC, DEFAULT_GRPC_TCP, DEFAULT_HTTP, DEFAULT_PATIENCE_SECONDS,
    DEFAULT_RETENTION_BYTES,
};

/// The file, with what each key means. Reading it gives the defaults.
pub(crate) fn example() -> String {
    let retention = Bytes(DEFAULT_RETENTION_BYTES);
    format!(
        "\
# Configuration of the collector. Without a file all of this holds.
version: 1

# Where sensors connect: a unix socket, where the kernel says who connects, or IP:PORT with `tls` or
# `feed_keys` (then {DEFAULT_GRPC_TCP} is the default).
listen_grpc: {DEFAULT_GRPC}

# At a unix socket: which users, by name or uid, may speak for the sensor. Default: root and the
# collector's own user.
# feed_users: [root]

# At a unix socket: the sensor id that they speak for. Default: the first that says hello.
# feed_sensor: build-host-7

# For sensors on other hosts: mutual TLS. `sentry-collector pki` makes the files.
# tls:
#   cert: /etc/agentsentry/pki/collector/tls.crt
#   key: /etc/agentsentry/pki/collector/tls.key
#   client_ca: /etc/agentsentry/pki/collector/ca.crt

# Over plaintext TCP: a key for each sensor. `sentry-collector feed-key` makes one.
feed_keys: {{}}

# The HTTP API.
listen_http: {DEFAULT_HTTP}

# The same as `tls`, for the HTTP API; with `client_ca` clients need a certificate beside their key.
# http_tls: {{cert: /c.crt, key: /c.key}}

# Names under which the HTTP API answers beside its addresses, such as collector.example:8440.
http_names: []

# How long a peer of the HTTP API may take for a request's head, or take nothing of an answer.
http_patience_seconds: {DEFAULT_PATIENCE_SECONDS}

# What the stored form of API keys is made with; default: keys.secret in data_dir, made by the first
# start.
# key_secret: credential:keys.secret

# Listening beyond loopback without TLS needs this.
allow_plaintext_remote: false

# The store; made if it is missing, with mode 0700.
data_dir: {DEFAULT_DATA_DIR}

# Size of the store: oldest first out beyond it; 0 keeps everything.
retention_bytes: {retention}
"
    )
}
