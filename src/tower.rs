//! Memory by endpoint: a [`tower`](https://docs.rs/tower) layer for axum, hyper and tonic services.
//!
//! Each request runs in the scope of its route and method. What it allocates and frees is the difference of the threads' own exact
//! counters around each poll, so it is exact across awaits and thread hops; a streaming body counts until it ends, a cancelled
//! request until it is dropped. What stays alive after the response is the estimate of live bytes by scope.
//!
//! Labels are bounded: the *matched* route is used, never the raw path, and what no route matches is one label,
//! [`UNMATCHED`]. Work that a handler hands to another task is not the request's; put such tasks into scopes of their own.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use parking_lot::RwLock;
use tower_layer::Layer;
use tower_service::Service;

use crate::record::scope::{MAX_SCOPES, Meter, OTHER, ScopeId};

/// The endpoint of requests that no route matches.
pub const UNMATCHED: &str = "unmatched";

/// Tells a request's route; `None` if none matches.
type RouteOf = dyn Fn(&http::request::Parts) -> Option<String> + Send + Sync;

/// Puts requests into scopes by route and method.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// let app: axum::Router = axum::Router::new().layer(heapwatch::tower::MemoryLayer::new());
/// # }
/// ```
///
/// Cost: a look-up of the scope a request, and some nanoseconds a poll.
#[derive(Clone)]
pub struct MemoryLayer {
    shared: Arc<Shared>,
}

struct Shared {
    component: Option<String>,
    route_of: Option<Arc<RouteOf>>,
    /// Scopes by route; a route has few methods.
    scopes: RwLock<Scopes>,
}

type Scopes = HashMap<String, Vec<(&'static str, ScopeId)>>;

impl Default for MemoryLayer {
    fn default() -> MemoryLayer {
        MemoryLayer::new()
    }
}

impl fmt::Debug for MemoryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLayer").field("component", &self.shared.component).finish_non_exhaustive()
    }
}

impl MemoryLayer {
    /// Routes as axum has matched them (feature `axum`); for gRPC the method's path, which is a route by itself.
    pub fn new() -> MemoryLayer {
        MemoryLayer::with(None, None)
    }

    /// The component that the requests belong to. Default: none. Costs nothing.
    pub fn component(self, name: impl Into<String>) -> MemoryLayer {
        MemoryLayer::with(Some(name.into()), self.shared.route_of.clone())
    }

    /// Routes by a function of the request, for routers that are not known here. What it answers becomes a label, so there must be few
    /// different answers; beyond the bound of scopes they are counted together. Default: see [`new`](MemoryLayer::new).
    pub fn route_of(
        self,
        route_of: impl Fn(&http::request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> MemoryLayer {
        MemoryLayer::with(self.shared.component.clone(), Some(Arc::new(route_of)))
    }

    fn with(component: Option<String>, route_of: Option<Arc<RouteOf>>) -> MemoryLayer {
        MemoryLayer { shared: Arc::new(Shared { component, route_of, scopes: RwLock::default() }) }
    }
}

impl Shared {
    fn scope_of(&self, parts: &http::request::Parts) -> ScopeId {
        match &self.route_of {
            Some(route_of) => self.scope(route_of(parts).as_deref().unwrap_or(UNMATCHED), &parts.method),
            None => self.scope(matched_route(parts).unwrap_or(UNMATCHED), &parts.method),
        }
    }

    fn scope(&self, route: &str, method: &Method) -> ScopeId {
        let method = method_label(method);
        let known = |scopes: &Scopes| scopes.get(route)?.iter().find(|(m, _)| *m == method).map(|(_, scope)| *scope);
        if let Some(scope) = known(&self.scopes.read()) {
            return scope;
        }
        let scope = ScopeId::endpoint(self.component.as_deref(), route, method);
        let mut scopes = self.scopes.write();
        // Beyond the bound of scopes there is nothing new to remember.
        if scopes.len() < MAX_SCOPES && known(&scopes).is_none() {
            scopes.entry(route.to_owned()).or_default().push((method, scope));
        }
        scope
    }
}

/// HTTP's own methods; any other is a client's word, and does not become a label.
fn method_label(method: &Method) -> &'static str {
    const OWN: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    OWN.into_iter().find(|m| *m == method.as_str()).unwrap_or(OTHER)
}

fn matched_route(parts: &http::request::Parts) -> Option<&str> {
    #[cfg(feature = "axum")]
    if let Some(matched) = parts.extensions.get::<axum::extract::MatchedPath>() {
        return Some(matched.as_str());
    }
    let is_grpc = |v: &http::HeaderValue| v.as_bytes().starts_with(b"application/grpc");
    parts.headers.get(http::header::CONTENT_TYPE).filter(|v| is_grpc(v)).map(|_| parts.uri.path())
}

impl<S> Layer<S> for MemoryLayer {
    type Service = MemoryService<S>;

    fn layer(&self, inner: S) -> MemoryService<S> {
        MemoryService { inner, shared: self.shared.clone() }
    }
}

/// The service that [`MemoryLayer`] makes.
#[derive(Clone)]
pub struct MemoryService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S: fmt::Debug> fmt::Debug for MemoryService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for MemoryService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
{
    type Response = Response<MeasuredBody<ResponseBody>>;
    type Error = S::Error;
    type Future = MeasuredResponse<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let mut meter = RequestMeter(Meter::new(self.shared.scope_of(&parts)));
        let inner = meter.0.measure(|| self.inner.call(Request::from_parts(parts, body)));
        MeasuredResponse { inner, meter: Some(meter) }
    }
}

/// Measures one request; notes it when dropped, whether it was answered, failed or cancelled.
#[derive(Debug)]
struct RequestMeter(Meter);

impl Drop for RequestMeter {
    fn drop(&mut self) {
        self.0.scope().observe_request(self.0.used());
    }
}

pin_project_lite::pin_project! {
    /// The response of a [`MemoryService`], measured.
    #[derive(Debug)]
    pub struct MeasuredResponse<F> {
        #[pin]
        inner: F,
        meter: Option<RequestMeter>,
    }
}

impl<F, B, E> Future for MeasuredResponse<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<MeasuredBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner;
        let polled = match this.meter.as_mut() {
            Some(meter) => meter.0.measure(|| inner.poll(cx)),
            None => inner.poll(cx),
        };
        polled.map(|answer| {
            let meter = this.meter.take();
            answer.map(|response| response.map(|body| MeasuredBody { inner: body, meter }))
        })
    }
}

pin_project_lite::pin_project! {
    /// A response's body, measured until it ends or is dropped.
    #[derive(Debug)]
    pub struct MeasuredBody<B> {
        #[pin]
        inner: B,
        meter: Option<RequestMeter>,
    }
}

impl<B: Body> Body for MeasuredBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let inner = this.inner;
        let polled = match this.meter.as_mut() {
            Some(meter) => meter.0.measure(|| inner.poll_frame(cx)),
            None => inner.poll_frame(cx),
        };
        if let Poll::Ready(None) = polled {
            this.meter.take();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Default> Default for MeasuredBody<B> {
    fn default() -> MeasuredBody<B> {
        MeasuredBody { inner: B::default(), meter: None }
    }
}
