//! One question to the server: authentication, time limit, retries, and errors that say what to do.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use super::answer::{self, Answer};
use crate::error::{Error, Result};

/// The longest answer that is read. A chunk is a fraction of it; a server that sends more does not keep to what was asked.
const MAX_BODY_BYTES: u64 = 512 << 20;
/// The longest wait that a server may ask for between two tries.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Base address; `/api/v1/query` is appended. A path prefix (Mimir's `/prometheus`) is kept.
    pub url: String,
    /// Who asks. Default nobody.
    pub auth: Auth,
    /// Further headers, such as `X-Scope-OrgID` for a tenant.
    pub headers: Vec<(String, String)>,
    /// Limit for one question. Default 60 s.
    pub timeout: Duration,
    /// Tries after the first fails for a reason that may pass. Default 3; each waits twice as long.
    pub retries: u32,
    /// Questions under way at once. Default 2; more load the server.
    pub concurrency: usize,
    /// Certificate authority to trust instead of the well-known ones (PEM; feature `tls`).
    pub ca_file: Option<PathBuf>,
    /// Client certificate and key for mutual TLS (PEM; feature `tls`).
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Who asks.
#[derive(Clone, Default)]
pub enum Auth {
    /// Nobody.
    #[default]
    None,
    /// `Authorization: Bearer`.
    Bearer(String),
    /// `Authorization: Basic`.
    Basic {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Auth::None => "None",
            Auth::Bearer(_) => "Bearer(…)",
            Auth::Basic { .. } => "Basic(…)",
        })
    }
}

impl Server {
    /// A server at `url` with the defaults.
    pub fn new(url: impl Into<String>) -> Server {
        Server {
            url: url.into(),
            auth: Auth::None,
            headers: Vec::new(),
            timeout: Duration::from_secs(60),
            retries: 3,
            concurrency: 2,
            ca_file: None,
            identity: None,
        }
    }
}

/// A connection to a server. Cheap to share between threads.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    headers: Vec<(String, String)>,
    retries: u32,
    pub(super) concurrency: usize,
}

/// Why a try failed, and whether another may not.
struct Failure {
    error: Error,
    passing: bool,
    wait: Option<Duration>,
    /// The question was too large for the server.
    pub(super) too_large: bool,
}

/// A question that failed for good.
pub(super) struct Refused {
    pub(super) error: Error,
    pub(super) too_large: bool,
}

impl Client {
    /// Checks the settings; nothing is sent yet. Errors: an address that is none, a file that cannot be read, `https` in a
    /// build without feature `tls`.
    pub fn new(server: &Server) -> Result<Client> {
        let base = server.url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Error::config(format!("`{}` is no http:// or https:// address", server.url)));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(server.timeout))
            .http_status_as_error(false)
            .max_idle_connections_per_host(server.concurrency.max(1));
        let config = super::client::tls::configured(config, server)?;
        let mut headers = server.headers.clone();
        headers.extend(authorization(&server.auth).map(|value| ("Authorization".to_owned(), value)));
        let concurrency = server.concurrency.clamp(1, 16);
        Ok(Client { agent: config.build().into(), base, headers, retries: server.retries, concurrency })
    }

    /// The value of `promql` at `at_s` (epoch seconds).
    pub fn instant(&self, promql: &str, at_s: f64) -> Result<Answer> {
        let form = [("query", promql.to_owned()), ("time", at_s.to_string())];
        self.ask("query", &form).map_err(|r| r.error)
    }

    /// One question, tried again while the reason may pass.
    pub(super) fn ask(&self, path: &str, form: &[(&str, String)]) -> Result<Answer, Refused> {
        let mut tries = 0;
        loop {
            let failure = match self.try_once(path, form) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !failure.passing || tries >= self.retries {
                return Err(Refused { error: failure.error, too_large: failure.too_large });
            }
            let doubled = Duration::from_millis(250) * 2u32.saturating_pow(tries.min(7));
            std::thread::sleep(failure.wait.unwrap_or(doubled).min(MAX_WAIT));
            tries += 1;
        }
    }

    fn try_once(&self, path: &str, form: &[(&str, String)]) -> Result<Answer, Failure> {
        let mut request = self.agent.post(format!("{}/api/v1/{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let pairs = form.iter().map(|(name, value)| (*name, value.as_str()));
        let mut response = request.send_form(pairs).map_err(|e| self.unreachable(e))?;
        let status = response.status().as_u16();
        let wait = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        let reader = response.body_mut().with_config().limit(MAX_BODY_BYTES).reader();
        read_whole(reader, &mut body).map_err(|e| self.broken(e))?;
        match status {
            200..=299 => {
                answer::parse(&body).map_err(|error| Failure { error: self.named(error), ..Failure::passing() })
            }
            _ => Err(self.status(status, &body, wait.map(Duration::from_secs))),
        }
    }

    fn named(&self, error: Error) -> Error {
        Error::input(self.base.clone()).because(error)
    }

    fn unreachable(&self, cause: ureq::Error) -> Failure {
        let message = match &cause {
            ureq::Error::Timeout(_) => {
                format!("{}: no answer in time; ask for less or allow more with --timeout", self.base)
            }
            _ => format!("cannot reach {}", self.base),
        };
        Failure { error: Error::io(message).because(cause), ..Failure::passing() }
    }

    fn broken(&self, cause: std::io::Error) -> Failure {
        Failure {
            error: Error::io(format!("{}: the answer broke off", self.base)).because(cause),
            ..Failure::passing()
        }
    }

    fn status(&self, status: u16, body: &[u8], wait: Option<Duration>) -> Failure {
        let (kind, said) = answer::refusal(body).unwrap_or_else(|| (String::new(), start_of(body)));
        let advice = match status {
            401 | 403 => "; give --bearer-token-file or --user",
            404 => "; is this the base address of a Prometheus-compatible server?",
            _ => "",
        };
        let error = Error::io(format!("{} answers {status} {said}{advice}", self.base));
        let too_large =
            kind == "timeout" || said.contains("too many samples") || said.contains("exceeded maximum resolution");
        let passing = !too_large && (status == 429 || status >= 500);
        Failure { error, passing, wait, too_large }
    }
}

impl Failure {
    fn passing() -> Failure {
        Failure { error: Error::io(""), passing: true, wait: None, too_large: false }
    }
}

fn read_whole(mut reader: impl Read, into: &mut Vec<u8>) -> std::io::Result<()> {
    reader.read_to_end(into).map(drop)
}

/// The first line of a body that is not the API's JSON, for an error message.
fn start_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..200).unwrap_or(body));
    text.lines().next().unwrap_or("").trim().to_owned()
}

fn authorization(auth: &Auth) -> Option<String> {
    match auth {
        Auth::None => None,
        Auth::Bearer(token) => Some(format!("Bearer {}", token.trim())),
        Auth::Basic { user, password } => Some(format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))),
    }
}

/// Base64 with padding (RFC 4648), for the one header that needs it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// TLS comes with its feature only; without it `https` is refused, not downgraded.
#[cfg(not(feature = "tls"))]
mod tls {
    use super::*;

    type Config = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

    pub(super) fn configured(config: Config, server: &Server) -> Result<Config> {
        let wanted = server.url.starts_with("https://") || server.ca_file.is_some() || server.identity.is_some();
        if wanted { Err(Error::unsupported("https needs a build with feature `tls`")) } else { Ok(config) }
    }
}

/// TLS by rustls: own authority, client certificate.
#[cfg(feature = "tls")]
mod tls {
    use std::path::Path;

    use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

    use super::*;

    type Config = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

    pub(super) fn configured(config: Config, server: &Server) -> Result<Config> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &server.ca_file {
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates(path)?));
        }
        if let Some((certificate, key)) = &server.identity {
            let key = PrivateKey::from_pem(&read(key)?).map_err(|e| unusable(key, e))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&certificates(certificate)?, key)));
        }
        Ok(config.tls_config(tls.build()))
    }

    fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
        let items = parse_pem(&read(path)?).collect::<Result<Vec<_>, _>>().map_err(|e| unusable(path, e))?;
        let certificate = |item| if let PemItem::Certificate(c) = item { Some(c) } else { None };
        Ok(items.into_iter().filter_map(certificate).collect())
    }

    fn read(path: &Path) -> Result<Vec<u8>> {
        std::fs::read(path).map_err(|e| Error::cannot_read(&path.display().to_string(), e))
    }

    fn unusable(path: &Path, cause: ureq::Error) -> Error {
        Error::config(format!("{} is no usable PEM file", path.display())).because(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_vectors_of_rfc_4648() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let server = Server { auth: Auth::Bearer("s3cret".into()), ..Server::new("http://x") };
        assert!(!format!("{server:?}").contains("s3cret"));
    }
}
