//! `workload_crowd start SOCKET COUNT BYTES`: asks the sensor for runs whose commands have so many
//! bytes, and prints how each request was answered. `workload_crowd list SOCKET`: reads the list of
//! all runs page by page, and prints the bytes and runs of each page. `workload_crowd connect
//! SOCKET COUNT`: opens connections, and prints how many stay open.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use sentry_proto::v1::{self, control_client::ControlClient};
use sentry_tests::work::{Arguments, Deadline, Failure};
use tonic::transport::{Channel, Endpoint};

/// What a client of HTTP/2 begins with: its preface, and settings without any.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let (what, socket) = (args.text("WHAT")?, args.path("SOCKET")?);
    if what == "connect" {
        return connect(&socket, args.number("COUNT")?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match what.as_str() {
            "start" => start(&socket, args.number("COUNT")?, args.number("BYTES")?).await,
            "list" => list(&socket).await,
            other => Err(format!("{other} is none of start, list, connect").into()),
        }
    })
}

async fn client(socket: &Path) -> Result<ControlClient<Channel>, Failure> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_uri: tonic::transport::Uri| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://sensor.local").connect_with_connector(connector).await?;
    Ok(ControlClient::new(channel))
}

async fn start(socket: &Path, count: u32, bytes: usize) -> Result<(), Failure> {
    let mut client = client(socket).await?;
    for _ in 0..count {
        let command = vec!["x".repeat(bytes)];
        let request = v1::StartRequest { name: "crowd".into(), command, ..v1::StartRequest::default() };
        match client.start(request).await {
            Ok(_) => println!("Ok"),
            Err(status) => println!("{:?}: {}", status.code(), status.message()),
        }
    }
    Ok(())
}

async fn list(socket: &Path) -> Result<(), Failure> {
    let mut client = client(socket).await?;
    let mut page_token = String::new();
    loop {
        let request = v1::RunsRequest { include_ended: true, page_token };
        let page = client.runs(request).await?.into_inner();
        let bytes: usize =
            page.runs.iter().map(|run| run.command.iter().map(String::len).sum::<usize>()).sum();
        println!("{bytes} {}", page.runs.len());
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        page_token = page.next_page_token;
    }
}

fn connect(socket: &Path, count: usize) -> Result<(), Failure> {
    let mut all = Vec::new();
    for _ in 0..count {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        // One that was closed at once may refuse it.
        let sent = stream.write_all(HELLO);
        let answered = sent.is_ok() && stream.read(&mut [0]).is_ok_and(|length| length > 0);
        all.push((stream, answered));
    }
    println!("{}", all.iter().filter(|(_, answered)| *answered).count());
    Ok(())
}
