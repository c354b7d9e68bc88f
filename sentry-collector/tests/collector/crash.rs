//! Signal 9 at any moment: what was acknowledged is there, what is sent again is stored once.

use std::collections::BTreeSet;

use crate::harness::{Collector, Sensor, wait_until};

fn all(collector: &Collector) -> Vec<String> {
    collector.walk("/api/v1/events?limit=1000", |event| event["metadata"]["uid"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_commit_and_acknowledgement() {
    let mut collector = Collector::start();
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_events("r1", 1..=50, 50).await;
    // The commit is seen through the API; the sensor never reads its acknowledgement.
    wait_until("the items are committed", || all(&collector).len() == 50);
    collector.kill_and_restart();
    drop(sensor);
    let (mut sensor, acked) = Sensor::connect(&collector, "s1", "e1").await;
    assert_eq!(acked, 50);
    sensor.send_events("r1", 1..=60, 20).await;
    sensor.acked(60).await;
    assert_eq!(all(&collector).len(), 60);
    assert_eq!(collector.metric("duplicate_items_total"), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again() {
    const LAST: u64 = 4000;
    let mut collector = Collector::start();
    let mut acked = 0;
    let mut rounds = 0;
    while acked < LAST {
        let (sensor, welcome) = Sensor::connect(&collector, "s1", "e1").await;
        assert!(welcome >= acked, "acknowledged {acked}, found {welcome}");
        acked = welcome;
        if acked == LAST {
            break;
        }
        let sending = sensor.send_events("r1", acked + 1..=LAST, 25);
        if rounds < 8 {
            // While the stream is under way, as soon as this life of the process has committed
            // something.
            tokio::join!(
                async {
                    sending.await;
                },
                async {
                    tokio::task::block_in_place(|| {
                        wait_until("a commit", || collector.metric("items_total{kind=\"event\"}") > 0);
                        collector.kill_and_restart();
                    });
                }
            );
        } else {
            sending.await;
        }
        acked = acked.max(sensor.close().await.0);
        rounds += 1;
    }
    let ids = all(&collector);
    let once: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len() as u64, once.len() as u64), (LAST, LAST));
}
