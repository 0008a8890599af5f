//! Which service generated files are for: its name, its labels, and how its series are picked out of a shared store.
//!
//! Rules, dashboards and manifests are made from the same subject, so that the alert of one file selects the series that
//! another file has scraped. Everything that a subject says is checked once, before anything is written.

use crate::error::{Error, Result};

/// Longest name of a service: names of objects append a word to it and may have 63 characters.
const NAME_MAX: usize = 52;

/// A service and how its series are recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Name of the service: lower case letters, digits and `-`, as Kubernetes wants it for names of objects.
    pub service: String,
    /// Namespace of its pods; becomes a matcher and the namespace of objects. Default: none.
    pub namespace: Option<String>,
    /// Value of the `job` label of its series. Default: the service's name.
    pub job: Option<String>,
    /// Put on every alert and every object, for routing and ownership. Default: none.
    pub labels: Vec<(String, String)>,
    /// Further labels that its series must have. Default: none.
    pub matchers: Vec<(String, String)>,
}

impl Subject {
    /// The service of this name, with everything else left at its default.
    ///
    /// # Errors
    /// As [`Subject::checked`].
    pub fn new(service: &str) -> Result<Subject> {
        let service = service.to_owned();
        Subject { service, namespace: None, job: None, labels: Vec::new(), matchers: Vec::new() }.checked()
    }

    /// The subject itself, when names and labels can be used in all files.
    ///
    /// # Errors
    /// A name that Kubernetes refuses, a label name that Prometheus refuses, or a label value that one of them refuses.
    pub fn checked(self) -> Result<Subject> {
        if !is_dns_label(&self.service) || self.service.len() > NAME_MAX {
            let why =
                format!("must be at most {NAME_MAX} of a-z, 0-9 and `-`, begin with a letter and end with no `-`");
            return Err(Error::config(format!("service `{}` {why}", self.service)));
        }
        if let Some(namespace) = self.namespace.as_deref().filter(|n| !is_dns_label(n)) {
            return Err(Error::config(format!("namespace `{namespace}` must be a-z, 0-9 and `-`")));
        }
        self.labels.iter().chain(&self.matchers).try_for_each(|(name, _)| check_label_name(name))?;
        self.labels.iter().try_for_each(|(name, value)| check_label_value(name, value))?;
        Ok(self)
    }

    /// The value of the `job` label.
    pub fn job(&self) -> &str {
        self.job.as_deref().unwrap_or(&self.service)
    }

    /// Matchers of the service's series with `more` behind them, in braces: `{job="checkout",severity="high"}`.
    pub fn selector(&self, more: &str) -> String {
        let own = self.matchers.iter().map(|(name, value)| matcher(name, value));
        let all = self.target_matchers().into_iter().chain(own).chain((!more.is_empty()).then(|| more.to_owned()));
        format!("{{{}}}", all.collect::<Vec<_>>().join(","))
    }

    /// Matchers of `up`, which has the labels of the target and none that the service adds.
    pub fn target_selector(&self) -> String {
        format!("{{{}}}", self.target_matchers().join(","))
    }

    fn target_matchers(&self) -> Vec<String> {
        let job = Some(matcher("job", self.job()));
        let namespace = self.namespace.as_deref().map(|n| matcher("namespace", n));
        job.into_iter().chain(namespace).collect()
    }
}

fn matcher(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(inner)
}

fn check_label_name(name: &str) -> Result<()> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.bytes().all(word) {
        return Ok(());
    }
    Err(Error::config(format!("label name `{name}` must be letters, digits and `_`, and begin with no digit")))
}

/// Kubernetes is the stricter of the two.
fn check_label_value(name: &str, value: &str) -> Result<()> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let edge = |c: char| c.is_ascii_alphanumeric();
    if value.len() <= 63 && value.starts_with(edge) && value.ends_with(edge) && value.bytes().all(inner) {
        return Ok(());
    }
    Err(Error::config(format!(
        "value `{value}` of label `{name}` must be at most 63 letters, digits, `-`, `_` and `.`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_name_target_and_own_labels() {
        let mut subject = Subject::new("checkout").expect("a good name");
        assert_eq!(subject.selector(""), r#"{job="checkout"}"#);
        subject.namespace = Some("shop".into());
        subject.job = Some("a\"b\\c".into());
        subject.matchers = vec![("region".into(), "eu".into())];
        assert_eq!(subject.target_selector(), r#"{job="a\"b\\c",namespace="shop"}"#);
        assert_eq!(subject.selector("x=\"1\""), r#"{job="a\"b\\c",namespace="shop",region="eu",x="1"}"#);
    }

    #[test]
    fn what_a_file_could_not_hold_is_refused() {
        let long = "a".repeat(NAME_MAX + 1);
        for name in ["", "Checkout", "1st", "a-", "a_b", "a.b", "a\"b", long.as_str()] {
            assert!(Subject::new(name).is_err_and(|e| e.is_config()), "{name}");
        }
        let good = Subject::new("checkout").expect("a good name");
        let with = |name: &str, value: &str| Subject { labels: vec![(name.into(), value.into())], ..good.clone() };
        assert!(with("team", "pay_ments.v2").checked().is_ok());
        for (name, value) in [("1x", "a"), ("a-b", "a"), ("", "a"), ("team", ""), ("team", "a b"), ("team", "-a")] {
            assert!(with(name, value).checked().is_err(), "{name}={value}");
        }
        assert!(Subject { namespace: Some("A".into()), ..good.clone() }.checked().is_err());
        assert!(Subject { matchers: vec![("a b".into(), "x".into())], ..good }.checked().is_err());
    }
}
