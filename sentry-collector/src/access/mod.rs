//! Who may do what: the scopes of keys, keys and the command token, sessions of browsers, and
//! addresses that try too often. There is no HTTP here: `api` reads the headers.

pub(crate) mod scope;

pub(crate) mod caller;

pub(crate) mod secret;

pub(crate) mod token;

pub(crate) mod key;

pub(crate) mod keyring;

pub(crate) mod bucket;

pub(crate) mod peers;

pub(crate) mod session;
