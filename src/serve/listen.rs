//! Connections: so many and no more, and none that keeps the server waiting.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Connections at once.
const MOST: usize = 1000;
/// Longest wait for the head of a request, also of the next one on a connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for the first request of a connection that was taken just before the server was to stop.
const JUST_COME: Duration = Duration::from_secs(1);
/// Pause after a connection could not be taken, for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers what comes in until `stop`, and what is under way after it.
pub async fn listen(listener: TcpListener, router: Router, stop: CancellationToken) {
    allow_many_files();
    let places = Arc::new(Semaphore::new(MOST));
    let connections = TaskTracker::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let (accepted, place) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => break,
            },
            () = stop.cancelled() => break,
        };
        let Ok((stream, from)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let router = router.clone();
        let has_asked = CancellationToken::new();
        let asks = has_asked.clone();
        let answer = service_fn(move |request| {
            asks.cancel();
            answer(router.clone(), from, request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), answer);
        let stop = stop.clone();
        connections.spawn(async move {
            let mut connection = pin!(connection.with_upgrades());
            let ending = async {
                stop.cancelled().await;
                let _ = tokio::time::timeout(JUST_COME, has_asked.cancelled()).await;
            };
            // How a client went away is its own affair.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = ending => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn answer(
    router: Router,
    from: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<axum::response::Response, std::convert::Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(from));
    router.oneshot(request).await
}

/// As many files as the system allows at all: the usual 1,024 are fewer than connections and uploads take.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("no more files may be open: {error}");
    }
}
