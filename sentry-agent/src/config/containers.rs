//! The `containers` section.

use std::{net::IpAddr, path::Path};

use serde_saphyr::Location;

use super::{ConfigError, Containers, Endpoint, error::invalid, file::ContainersFile, scalar::AbsolutePath};
use crate::container::{
    Engines,
    kubelet::{Kubelet, Tls},
};

/// `node` is of the command line, which wins over the file.
pub(super) fn containers(
    path: &Path,
    node: Option<String>,
    file: ContainersFile,
) -> Result<Containers, ConfigError> {
    let refused = |at: Location, what: &str| Err(invalid(path, at, what.to_owned()));
    let node = node.or(file.node.map(|name| name.0));
    let dir = |path: Option<AbsolutePath>| path.map(|path| path.0);
    let engines =
        Engines { containerd: dir(file.containerd), storage: dir(file.storage), docker: dir(file.docker) };
    let (token, ca) = (file.token_file, file.ca);
    let Some(endpoint) = file.kubelet else {
        let for_nobody = [token.map(|file| file.referenced), ca.map(|file| file.referenced)];
        return match for_nobody.into_iter().flatten().next() {
            Some(at) => refused(at, "this is for the kubelet; set `kubelet`, or leave it out"),
            None => Ok(Containers { engines, node, kubelet: None }),
        };
    };
    let at = endpoint.referenced;
    let (host, port, is_tls) = match endpoint.value {
        Endpoint::Unix(socket) => {
            return match token.map(|file| file.referenced).or(ca.map(|file| file.referenced)) {
                Some(at) => refused(at, "the socket of the Pods API takes no token and no certificate"),
                None => Ok(Containers { engines, node, kubelet: Some(Kubelet::Socket(socket)) }),
            };
        }
        Endpoint::Http { host, port } => (host, port, false),
        Endpoint::Https { host, port } => (host, port, true),
    };
    let here =
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let tls = match (is_tls, ca) {
        (false, Some(ca)) => return refused(ca.referenced, "plain http has no certificate; use https"),
        (false, None) if token.is_some() && !here => {
            return refused(at, "the token would be readable on the way; use https");
        }
        (false, None) => None,
        (true, None) => {
            return refused(
                at,
                "https needs `ca`: the kubelet's certificate is from nobody that every host knows; its own \
                is usually /var/lib/kubelet/pki/kubelet.crt",
            );
        }
        // Certificates of kubelets are for the node's name.
        (true, Some(ca)) => {
            let name = node.clone().unwrap_or_else(|| host.trim_matches(['[', ']']).to_owned());
            Some(Tls { ca: ca.value.0, name })
        }
    };
    let token_file = token.map(|file| file.value.0);
    Ok(Containers { engines, node, kubelet: Some(Kubelet::Port { host, port, tls, token_file }) })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Config, Flags};

    fn parsed(section: &str) -> Result<Containers, String> {
        let text = format!("version: 1\ncontainers: {section}\n");
        let config = Config::parse(Path::new("c.yaml"), Some(&text), &Flags::default());
        config.map(|config| config.containers).map_err(|error| error.to_string())
    }

    #[test]
    fn each_way_to_the_kubelet_is_read() {
        let port = |tls, token_file| Kubelet::Port { host: "127.0.0.1".into(), port: 10250, tls, token_file };
        let tls = |name: &str| Some(Tls { ca: "/k.crt".into(), name: name.into() });
        let token = || Some(PathBuf::from("/token"));
        for (section, node, kubelet) in [
            ("{}", None, None),
            ("{node: n1}", Some("n1"), None),
            ("{kubelet: 'unix:/p.sock'}", None, Some(Kubelet::Socket("/p.sock".into()))),
            ("{kubelet: 'http://127.0.0.1:10250', token_file: /token}", None, Some(port(None, token()))),
            ("{kubelet: 'https://127.0.0.1:10250', ca: /k.crt}", None, Some(port(tls("127.0.0.1"), None))),
            (
                "{node: n1, kubelet: 'https://127.0.0.1:10250', ca: /k.crt, token_file: /token}",
                Some("n1"),
                Some(port(tls("n1"), token())),
            ),
        ] {
            let node = node.map(str::to_owned);
            let expected = Containers { node, kubelet, ..Containers::default() };
            assert_eq!(parsed(section), Ok(expected), "{section}");
        }
    }

    #[test]
    fn what_cannot_hold_together_is_refused() {
        for (section, words) in [
            ("{token_file: /token}", "set `kubelet`"),
            ("{kubelet: 'unix:/p.sock', ca: /k.crt}", "no certificate"),
            ("{kubelet: 'http://127.0.0.1:10255', ca: /k.crt}", "use https"),
            ("{kubelet: 'http://10.0.0.7:10255', token_file: /token}", "readable on the way"),
            ("{kubelet: 'https://127.0.0.1:10250'}", "needs `ca`"),
            ("{kubelet: 10250}", "is not an endpoint"),
            ("{socket: /p.sock}", "unknown field"),
        ] {
            let said = parsed(section).unwrap_err();
            assert!(said.starts_with("c.yaml:2:") && said.contains(words), "{section}: {said}");
        }
    }

    #[test]
    fn engines_may_keep_their_files_elsewhere() {
        let found = parsed("{docker: /data/docker, storage: /data/storage, containerd: /data/ctd}").unwrap();
        let engines = Engines {
            containerd: Some("/data/ctd".into()),
            storage: Some("/data/storage".into()),
            docker: Some("/data/docker".into()),
        };
        assert_eq!(found, Containers { engines, ..Containers::default() });
    }

    #[test]
    fn the_command_line_names_the_node() {
        let flags = Flags { node: Some("n2".into()), ..Flags::default() };
        let text = "version: 1\ncontainers: {node: n1}\n";
        let config = Config::parse(Path::new("c.yaml"), Some(text), &flags).unwrap();
        assert_eq!(config.containers.node.as_deref(), Some("n2"));
    }
}
