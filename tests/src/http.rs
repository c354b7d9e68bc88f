//! Requests over a connection of their own, for the collector's API.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::Value;

use crate::wait;

/// Status and body of a `GET` with a key.
///
/// # Errors
/// When nobody answers, or not in HTTP.
pub fn get(address: &str, path: &str, key: &str) -> std::io::Result<(u16, Value)> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    ask(address, &format!("{head}Authorization: Bearer {key}\r\n\r\n"))
}

/// Status and body of a `POST` with a key.
///
/// # Errors
/// When nobody answers, or not in HTTP.
pub fn post(address: &str, path: &str, key: &str, body: &Value) -> std::io::Result<(u16, Value)> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    ask(address, &format!("{head}{body}"))
}

/// Head and body of what is no JSON.
///
/// # Errors
/// When nobody answers.
pub fn text(address: &str, path: &str, accept: &str) -> std::io::Result<(String, String)> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    let answer = exchange(address, &request)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.to_owned(), body.to_owned()))
}

fn exchange(address: &str, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(wait::patience()))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn ask(address: &str, request: &str) -> std::io::Result<(u16, Value)> {
    let answer = exchange(address, request)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status in {head:?}")))?;
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// Every object of a listing, page by page, oldest first.
///
/// # Panics
/// When the collector does not answer.
#[must_use]
pub fn all(address: &str, listing: &str, key: &str) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), String::new());
    let join = if listing.contains('?') { '&' } else { '?' };
    loop {
        let path = format!("{listing}{join}order=asc&limit=1000{next}");
        let (status, page) = get(address, &path, key).unwrap();
        assert_eq!(status, 200, "{listing}: {page}");
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return items,
        }
    }
}
