//! HTTP/1.1 for a request or two: an endpoint that answers all, and a client.

use std::time::Duration;

use svc_cluster::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Answers every request at all addresses of the namespace.
pub(crate) async fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut head = [0; 4096];
            while stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Asks `address` for `target` until the answer is 200.
///
/// # Errors
/// It was not within a minute.
pub(crate) async fn until_ok(address: &str, target: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Ok(head)) = timeout(PATIENCE, ask(address, target)).await
            && head.starts_with("HTTP/1.1 200 ")
        {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(format!("no 200 from {address} for {target} within {} s", PATIENCE.as_secs()).into())
}

async fn ask(address: &str, target: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// 300 processes start at once on two cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
