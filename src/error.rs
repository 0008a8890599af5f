//! One opaque error: what failed, where, and what to do; callers ask `is_*`, not variants.

use std::fmt;

/// Why something could not be done. The text says what, where and what to do about it.
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Config,
    Input,
    Io,
    Unsupported,
    State,
}

/// The result of a fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), source: None }
    }

    /// A setting has a value that cannot work. The message names the setting.
    pub(crate) fn config(message: impl Into<String>) -> Error {
        Error::new(Kind::Config, message)
    }

    /// Input that cannot be read. The message names the file and the line.
    #[allow(dead_code, reason = "which stages read input depends on the features")]
    pub(crate) fn input(message: impl Into<String>) -> Error {
        Error::new(Kind::Input, message)
    }

    /// A system call or a peer refused.
    #[allow(dead_code, reason = "which stages do I/O depends on the features")]
    pub(crate) fn io(message: impl Into<String>) -> Error {
        Error::new(Kind::Io, message)
    }

    /// This platform or build cannot do it.
    #[allow(dead_code, reason = "which stages can be absent depends on the features")]
    pub(crate) fn unsupported(message: impl Into<String>) -> Error {
        Error::new(Kind::Unsupported, message)
    }

    /// The call does not fit the present state (started twice, stopped already).
    #[allow(dead_code, reason = "which states exist depends on the features")]
    pub(crate) fn state(message: impl Into<String>) -> Error {
        Error::new(Kind::State, message)
    }

    /// An argument of a command that cannot work.
    pub fn bad_argument(message: &str) -> Error {
        Error::config(message)
    }

    /// An input that cannot be opened or read.
    pub fn cannot_read(what: &str, cause: std::io::Error) -> Error {
        Error::new(Kind::Input, format!("cannot read {what}")).because(cause)
    }

    /// An output that cannot be written.
    pub fn cannot_write(what: &str, cause: std::io::Error) -> Error {
        Error::new(Kind::Io, format!("cannot write {what}")).because(cause)
    }

    /// Adds the cause beneath.
    pub(crate) fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.source = Some(cause.into());
        self
    }

    /// A setting has a value that cannot work.
    pub fn is_config(&self) -> bool {
        self.kind == Kind::Config
    }

    /// Input could not be read: a file, a series, an answer.
    pub fn is_input(&self) -> bool {
        self.kind == Kind::Input
    }

    /// The operating system or a peer refused.
    pub fn is_io(&self) -> bool {
        self.kind == Kind::Io
    }

    /// This platform or build cannot do it.
    pub fn is_unsupported(&self) -> bool {
        self.kind == Kind::Unsupported
    }

    /// The call does not fit the present state.
    pub fn is_state(&self) -> bool {
        self.kind == Kind::State
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause: Option<&(dyn std::error::Error + 'static)> = self.source.as_deref().map(|e| e as _);
        while let Some(c) = cause {
            write!(f, ": {c}")?;
            cause = c.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} error: {self}", self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
