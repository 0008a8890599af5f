//! The arguments that name a Prometheus-compatible server.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use heapwatch::source::prometheus_api::{Auth, Client, Range, Server};
use heapwatch::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where series are asked for, and as whom.
#[derive(Debug, Args)]
pub struct Connection {
    /// File whose content is sent as bearer token
    #[arg(long, value_name = "FILE", requires = "prometheus", conflicts_with = "user")]
    pub bearer_token_file: Option<PathBuf>,
    /// User and password for basic authentication; the password may come from $HEAPWATCH_PROMETHEUS_PASSWORD
    #[arg(long, value_name = "USER[:PASSWORD]", requires = "prometheus")]
    pub user: Option<String>,
    /// Further header, such as `X-Scope-OrgID: team` for a tenant; repeatable
    #[arg(long, value_name = "NAME: VALUE", requires = "prometheus")]
    pub header: Vec<String>,
    /// Certificate authority to trust (PEM; https needs a build with feature `tls`)
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    pub ca_file: Option<PathBuf>,
    /// Client certificate (PEM) for mutual TLS
    #[arg(long, value_name = "FILE", requires_all = ["prometheus", "key_file"])]
    pub cert_file: Option<PathBuf>,
    /// Key (PEM) of the client certificate
    #[arg(long, value_name = "FILE", requires_all = ["prometheus", "cert_file"])]
    pub key_file: Option<PathBuf>,
    /// Seconds that one question may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub timeout: f64,
    /// Questions under way at once
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub concurrency: usize,
    /// Tries after the first
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub retries: u32,
}

/// Which stretch of time, and how fine.
#[derive(Debug, Args)]
pub struct Stretch {
    /// How far back to look, such as 14d
    #[arg(long, value_parser = duration, default_value = "7d")]
    pub range: Duration,
    /// Distance of points, such as 5m
    #[arg(long, value_parser = duration, default_value = "60s")]
    pub step: Duration,
    /// End of the range (epoch seconds or RFC 3339) instead of now
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub end: Option<f64>,
}

impl Connection {
    pub fn client(&self, url: &str) -> Result<Client> {
        let timeout = self.time_limit()?;
        let identity = self.cert_file.clone().zip(self.key_file.clone());
        Client::new(&Server {
            auth: self.auth()?,
            headers: self.header.iter().map(|h| split_header(h)).collect::<Result<_>>()?,
            timeout,
            retries: self.retries,
            concurrency: self.concurrency,
            ca_file: self.ca_file.clone(),
            identity,
            ..Server::new(url)
        })
    }

    /// `--timeout`.
    pub fn time_limit(&self) -> Result<Duration> {
        let timeout = Duration::try_from_secs_f64(self.timeout).ok().filter(|t| !t.is_zero());
        timeout.ok_or_else(|| Error::bad_argument("--timeout must be a positive number of seconds"))
    }

    fn auth(&self) -> Result<Auth> {
        if let Some(path) = &self.bearer_token_file {
            let token =
                std::fs::read_to_string(path).map_err(|e| Error::cannot_read(&path.display().to_string(), e))?;
            return Ok(Auth::Bearer(token));
        }
        let Some(user) = &self.user else { return Ok(Auth::None) };
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user.to_owned(), password.to_owned()),
            None => (user.clone(), std::env::var("HEAPWATCH_PROMETHEUS_PASSWORD").unwrap_or_default()),
        };
        Ok(Auth::Basic { user, password })
    }
}

impl Stretch {
    pub fn range(&self) -> Range {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        let step_s = self.step.as_secs_f64();
        // On the step's grid, so that two runs ask for the same points and a server may answer from its cache.
        let end_s = (self.end.unwrap_or(now) / step_s).floor() * step_s;
        Range { start_s: end_s - self.range.as_secs_f64(), end_s, step_s }
    }
}

fn split_header(text: &str) -> Result<(String, String)> {
    let pair = text.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    pair.ok_or_else(|| Error::bad_argument(&format!("--header `{text}` is not `NAME: VALUE`")))
}

/// `90s`, `5m`, `36h`, `14d`, `2w`; a bare number is seconds.
pub fn duration(text: &str) -> std::result::Result<Duration, String> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return Err("give a number and s, m, h, d or w".into()),
    };
    let seconds = digits.parse::<f64>().ok().filter(|n| *n > 0.0).map(|n| n * unit);
    let duration = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
    duration.ok_or_else(|| "give a positive number and s, m, h, d or w".into())
}

fn time(text: &str) -> std::result::Result<f64, String> {
    let rfc3339 = || text.parse::<jiff::Timestamp>().ok().map(|t| t.as_nanosecond() as f64 / 1e9);
    text.parse()
        .ok()
        .filter(|t: &f64| t.is_finite())
        .or_else(rfc3339)
        .ok_or_else(|| "give epoch seconds or RFC 3339".into())
}

/// A bar on standard error when that is a terminal; hidden elsewhere.
pub fn progress() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:40} {pos}/{len} queries {eta}") {
        Ok(style) => bar.with_style(style).with_finish(indicatif::ProgressFinish::AndClear),
        Err(_) => bar,
    }
}
