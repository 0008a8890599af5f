//! The HTTP endpoints over a watch: each answer is what the watch knows, rendered.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, Watch, outlook};
use crate::error::Result;
use crate::export::collapsed::{self, Value};
use crate::export::http::routes::{LeakFormat, ProfileRequest};
use crate::export::http::{Server, ServerConfig, Source, SourceRoutes, Token};
use crate::export::{json, pprof};
use crate::record::thread;

pub fn serve(shared: &Arc<Shared>) -> Result<Option<Server>> {
    let Some(address) = &shared.config.serve else { return Ok(None) };
    let mut config = ServerConfig::new(address)?;
    config.token = shared.config.token.as_deref().map(Token::new).transpose()?;
    config.on_thread_start = thread::become_internal;
    let routes = SourceRoutes::new(Arc::new(Endpoints(shared.clone())));
    Server::start(config, Arc::new(routes)).map(Some)
}

impl Watch {
    /// Where the endpoints are served, with the port that was chosen if 0 was asked for. `None` without them.
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        self.server.as_ref().map(Server::address)
    }
}

struct Endpoints(Arc<Shared>);

impl Source for Endpoints {
    fn metrics_text(&self, openmetrics: bool) -> Result<String> {
        Ok(self.0.metrics_text(openmetrics))
    }

    fn heap_profile(&self, request: &ProfileRequest<'_>) -> Result<Vec<u8>> {
        let Some(wait) = &request.over else {
            let snapshot = self.0.observe().snapshot;
            return Ok(match request.debug {
                true => pprof::heap_text(&snapshot).into_bytes(),
                false => pprof::heap_profile(&snapshot, request.kind),
            });
        };
        let older = self.0.observe().snapshot;
        wait.wait();
        let newer = self.0.observe_now().snapshot;
        Ok(pprof::delta_profile(&older, &newer, request.kind))
    }

    fn collapsed(&self) -> Result<String> {
        Ok(collapsed::collapsed(&self.0.observe().snapshot, Value::LiveBytes))
    }

    #[cfg(feature = "flamegraph")]
    fn flamegraph(&self) -> Result<String> {
        crate::export::flamegraph::flame_graph(&self.0.observe().snapshot, Value::LiveBytes)
    }

    #[cfg(not(feature = "flamegraph"))]
    fn flamegraph(&self) -> Result<String> {
        Err(crate::Error::unsupported("flame graphs are not built in; build with the feature `flamegraph`"))
    }

    fn snapshot_json(&self, top: usize) -> Result<String> {
        Ok(json::snapshot(&self.0.observe().snapshot, top))
    }

    fn growth_json(&self, since: Option<Duration>) -> Result<String> {
        Ok(json::growth(&self.0.observe().snapshot, since.map(|s| s.as_secs_f64())))
    }

    fn leaks(&self, format: LeakFormat) -> Result<String> {
        let report = self.0.observe().report();
        Ok(match format {
            LeakFormat::Json => report.to_json(),
            LeakFormat::Csv => report.to_csv(),
            LeakFormat::Text => report.to_text(),
        })
    }

    fn anomalies(&self) -> Result<String> {
        Ok(self.0.anomalies.lock().document())
    }

    fn forecast(&self) -> Result<String> {
        outlook::forecast_json(&self.0.observe())
    }

    fn recommendation(&self) -> Result<String> {
        Ok(outlook::recommendation_json(&self.0.observe()))
    }

    fn healthy(&self) -> bool {
        self.0.is_alive()
    }
}
