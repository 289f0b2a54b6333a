//! Connections: so many and no more, and none that keeps the server waiting.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Connections at once, in all and from one address that is neither this machine nor a proxy.
const MOST: usize = 1000;
const MOST_FROM_ONE: usize = 250;
/// Longest wait for the head of a request, also of the next one on a connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for a client to take a piece of an answer.
const STALLED: Duration = Duration::from_secs(30);
/// Longest wait for the first request of a connection that was taken just before the server was to stop.
const JUST_COME: Duration = Duration::from_secs(1);
/// Pause after a connection could not be taken, for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers what comes in until `stop`, and what is under way after it.
pub async fn listen(
    listener: TcpListener,
    router: Router,
    proxies: &[IpAddr],
    stop: CancellationToken,
) {
    allow_many_files();
    let by_address = Arc::new(ByAddress::default());
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
        let ip = from.ip().to_canonical();
        let is_trusted = ip.is_loopback() || proxies.contains(&ip);
        let Some(share) = by_address.take(ip, is_trusted) else {
            continue;
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(STALLED));
        let router = router.clone();
        let has_asked = CancellationToken::new();
        let asks = has_asked.clone();
        let answer = service_fn(move |request| {
            asks.cancel();
            answer(router.clone(), from, request)
        });
        let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), answer);
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
            drop((place, share));
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Connections by address.
#[derive(Default)]
struct ByAddress(Mutex<HashMap<IpAddr, usize>>);

/// A place among those of an address, until it is dropped.
struct Share {
    all: Arc<ByAddress>,
    ip: IpAddr,
}

impl ByAddress {
    /// A place for a connection from `ip`, if there is one.
    fn take(self: &Arc<Self>, ip: IpAddr, is_trusted: bool) -> Option<Share> {
        let mut counts = self.counts();
        let count = counts.entry(ip).or_default();
        if *count >= MOST_FROM_ONE && !is_trusted {
            return None;
        }
        *count += 1;
        let all = Arc::clone(self);
        Some(Share { all, ip })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Entry::Occupied(mut entry) = counts.entry(self.ip) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_places_for_others() {
        let all = Arc::new(ByAddress::default());
        let [here, there] = [1, 2].map(|n| IpAddr::from([10, 0, 0, n]));
        let taken: Vec<_> = (0..MOST_FROM_ONE).map(|_| all.take(here, false)).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(all.take(here, false).is_none());
        assert!(all.take(here, true).is_some() && all.take(there, false).is_some());
        drop(taken);
        assert!(all.take(here, false).is_some());
        assert!(
            all.counts().is_empty(),
            "what is not used is not remembered"
        );
    }
}
