//! One GET with a key of a small JSON answer over HTTP/1.0, where the answer ends with the
//! connection.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const LIMIT_BYTES: u64 = 4 << 20;

/// The body of a successful answer.
pub(super) async fn get(address: &str, path: &str, key: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LIMIT_BYTES).read_to_string(&mut answer).await?;
    body(&answer).map(str::to_owned)
}

fn body(answer: &str) -> io::Result<&str> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "200" { Ok(body) } else { Err(io::Error::other(format!("the collector answered {status}"))) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_has_a_body() {
        assert_eq!(body("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}\r\n\r\n").unwrap(), "{}\r\n\r\n");
        assert!(body("HTTP/1.0 404 Not Found\r\n\r\nx").is_err());
        assert!(body("HTTP/1.0 200 OK\r\n").is_err());
        assert!(body("").is_err());
    }

    #[tokio::test]
    async fn a_real_answer_is_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n[1]").await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let (answer, request) = tokio::join!(get(&address, "/x?y=z", "k"), server);
        assert_eq!(answer.unwrap(), "[1]");
        assert!(request.starts_with("GET /x?y=z HTTP/1.0\r\n"));
        assert!(request.ends_with("\r\nAuthorization: Bearer k\r\n\r\n"));
    }
}
