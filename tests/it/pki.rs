//! Certificates of `sentry-collector pki` between the real sensor and the real collector, and their
//! exchange.

use std::{fs, path::PathBuf};

use sentry_tests::{
    collector::{self, Collector},
    programs, require,
    scratch::Scratch,
    sensor::{Sensor, Setup},
    wait,
};

struct Pki(Scratch);

impl Pki {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join("pki").join(name)
    }

    fn does(&self, arguments: &[&str]) {
        let mut command = programs::command("sentry-collector");
        let output = programs::finish(command.arg("pki").args(arguments).arg("--dir").arg(self.path("")));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", programs::text(&output));
    }

    /// `tls` of one end, whose authorities are under this key.
    fn lines(&self, holder: &str, authorities: &str) -> String {
        let at = |name: &str| self.path(holder).join(name).display().to_string();
        let (ca, cert, key) = (at("ca.crt"), at("tls.crt"), at("tls.key"));
        format!("tls: {{{authorities}: {ca}, cert: {cert}, key: {key}}}")
    }
}

/// The collector, started anew, has the sensor, and has acknowledged all that it has.
fn connected(sensor: &Sensor, collector: &Collector) {
    wait::until("the sensor is connected", || {
        let (sensors, health) = (collector.all("sensors"), sensor.health());
        let is_connected = sensors.iter().any(|one| one["id"] == "host-1" && one["connected"] == true);
        if is_connected && health["health"] == "serving" && health["acked_seq"] == health["last_seq"] {
            Ok(())
        } else {
            Err(format!("{sensors:?} {health}"))
        }
    });
}

fn restart(collector: &mut Collector) {
    collector.terminate();
    collector.start_again();
}

#[test]
fn an_authority_is_exchanged_while_the_sensor_lives_and_the_old_one_is_refused() {
    require!("root");
    let pki = Pki(Scratch::new());
    pki.does(&["init"]);
    pki.does(&["collector", "127.0.0.1"]);
    pki.does(&["sensor", "host-1"]);
    let mut collector =
        collector::Setup::default().grpc("127.0.0.1:0").config(&pki.lines("collector", "client_ca")).start();
    let endpoint = format!("https://{}", collector.grpc);
    let tls = pki.lines("sensors/host-1", "ca");
    let config = format!("sensor: {{id: host-1}}\ncollector: {{endpoint: '{endpoint}', {tls}}}");
    let sensor = Setup::default().config(&config).collector(&endpoint).start();
    connected(&sensor, &collector);
    let old = ["tls.crt", "tls.key"].map(|name| fs::read(pki.path("sensors/host-1").join(name)).unwrap());

    pki.does(&["rotate"]);
    restart(&mut collector);
    connected(&sensor, &collector);
    for arguments in [&["sensor", "host-1", "--force"][..], &["collector", "--force"], &["retire"]] {
        pki.does(arguments);
        restart(&mut collector);
        connected(&sensor, &collector);
    }

    // The old certificate once more.
    let new = ["tls.crt", "tls.key"].map(|name| fs::read(pki.path("sensors/host-1").join(name)).unwrap());
    let put = |files: &[Vec<u8>; 2]| {
        for (name, bytes) in ["tls.crt", "tls.key"].iter().zip(files) {
            fs::write(pki.path("sensors/host-1").join(name), bytes).unwrap();
        }
    };
    put(&old);
    restart(&mut collector);
    wait::until("the sensor says that it is refused", || {
        let health = sensor.health()["health"].to_string();
        if health.contains("no stream to the collector") { Ok(()) } else { Err(health) }
    });
    let sensors = collector.all("sensors");
    assert!(sensors.iter().all(|one| one["connected"] == false), "{sensors:?}");
    put(&new);
    connected(&sensor, &collector);
}
