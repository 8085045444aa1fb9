use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::*;
use crate::metrics::Closed;
use crate::net::stream::Stream as Socket;
use crate::upstream::ConnTable;
use crate::upstream::pool::Pool;

/// A connection to an endpoint, and the endpoint's end of it.
async fn connected() -> (Http2, h2::server::Connection<TcpStream, bytes::Bytes>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let stream = Rc::new(RefCell::new(Socket::from(near)));
    let entry = Rc::<ConnTable>::default().enter(&stream);
    let io = UpstreamIo {
        stream,
        entry,
        series: Arc::default(),
        closed: Closed::Done,
        unfinished: false,
        was_reset: false,
    };
    let (near, far) = tokio::join!(Http2::handshake(io), h2::server::handshake(far));
    (near.unwrap(), far.unwrap())
}

#[tokio::test(flavor = "current_thread")]
async fn a_connection_that_had_no_stream_for_long_says_that_it_goes_and_is_closed() {
    let idle = async {
        let (near, mut far) = connected().await;
        let ended = tokio::task::spawn_local(async move { far.accept().await.map(|stream| stream.err()) });
        let pool = Pool::new(1);
        pool.share(near);
        tokio::time::sleep(Duration::from_millis(50)).await; // both ends have each other's SETTINGS
        let used = pool.free_slot().expect("it takes streams");
        clock::pass_ms(IDLE_FOR.as_millis() as u32);
        pool.reap();
        assert!(!pool.is_empty(), "a stream is open on it");
        drop(used);
        clock::pass_ms(IDLE_FOR.as_millis() as u32 - 1);
        pool.reap();
        assert!(!pool.is_empty());
        clock::pass_ms(1);
        pool.reap();
        assert!(pool.is_empty());
        let ended = ended.await.unwrap();
        assert!(ended.is_none(), "it ended as it should: {ended:?}");
    };
    LocalSet::new().run_until(Box::pin(idle)).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_connection_that_its_endpoint_leaves_takes_no_streams() {
    let leaving = async {
        let (mut near, mut far) = connected().await;
        assert!(near.is_open());
        far.graceful_shutdown();
        let going = async { while far.accept().await.is_some() {} };
        let noticing = async {
            while near.is_open() {
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(going, noticing);
    };
    LocalSet::new().run_until(Box::pin(leaving)).await;
}
