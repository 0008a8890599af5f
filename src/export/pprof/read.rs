//! Reads profile.proto back: heapwatch's own and anybody's. Bytes are untrusted: sizes are bounded, indexes checked.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use prost::Message;

use super::messages;
use crate::error::{Error, Result};

/// Uncompressed bytes that are read; a service's heap profile is some megabytes.
const MAX_BYTES: u64 = 64 << 20;

/// A profile with its indexes resolved.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Names and units of the values, in their order.
    pub sample_types: Vec<(String, String)>,
    /// One for each sample.
    pub stacks: Vec<Stack>,
    /// When it was taken, epoch seconds; 0 if it does not say.
    pub taken_at_s: f64,
    /// What stretch of time it covers, seconds.
    pub duration_s: f64,
}

/// One sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stack {
    /// Functions, leaf first, inlined ones on their own; an address where there is no name.
    pub functions: Vec<String>,
    /// Values in the order of the profile's sample types.
    pub values: Vec<i64>,
    /// Text labels: scope, type.
    pub labels: Vec<(String, String)>,
}

/// How one stack changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// Functions, leaf first.
    pub functions: Vec<String>,
    /// Value before and after.
    pub before: i64,
    /// Value after.
    pub after: i64,
}

/// Reads a profile, gzip or not. `name` is what errors call it.
pub fn read(bytes: &[u8], name: &str) -> Result<Profile> {
    let profile = decode(bytes, name)?;
    let resolver = Resolver::new(&profile);
    let text = |index| resolver.text(index).to_owned();
    Ok(Profile {
        sample_types: profile.sample_type.iter().map(|t| (text(t.r#type), text(t.unit))).collect(),
        stacks: profile.sample.iter().map(|sample| resolver.stack(sample)).collect(),
        taken_at_s: profile.time_nanos as f64 / 1e9,
        duration_s: profile.duration_nanos as f64 / 1e9,
    })
}

/// What changed from `older` to `newer` in one column (`inuse_space`), by stack, the largest growth first. Stacks that did not
/// change are left out. An error if a profile has no such column.
pub fn difference(older: &Profile, newer: &Profile, sample_type: &str) -> Result<Vec<Delta>> {
    let mut by_stack: HashMap<&[String], (i64, i64)> = HashMap::new();
    for (functions, value) in older.column(sample_type)? {
        let before = &mut by_stack.entry(functions).or_default().0;
        *before = before.saturating_add(value);
    }
    for (functions, value) in newer.column(sample_type)? {
        let after = &mut by_stack.entry(functions).or_default().1;
        *after = after.saturating_add(value);
    }
    let changed = by_stack.into_iter().filter(|(_, (before, after))| before != after);
    let delta = |(functions, (before, after)): (&[String], _)| Delta { functions: functions.to_vec(), before, after };
    let mut deltas: Vec<Delta> = changed.map(delta).collect();
    let growth = |delta: &Delta| delta.after.saturating_sub(delta.before);
    deltas.sort_by(|a, b| growth(b).cmp(&growth(a)).then_with(|| a.functions.cmp(&b.functions)));
    Ok(deltas)
}

impl Profile {
    fn column(&self, sample_type: &str) -> Result<impl Iterator<Item = (&[String], i64)>> {
        let column = self.sample_types.iter().position(|(name, _)| name == sample_type);
        let column = column.ok_or_else(|| {
            let have: Vec<&str> = self.sample_types.iter().map(|(name, _)| name.as_str()).collect();
            Error::input(format!("the profile has no `{sample_type}`; it has {}", have.join(", ")))
        })?;
        let value = move |stack: &Stack| stack.values.get(column).copied().unwrap_or(0);
        Ok(self.stacks.iter().map(move |stack| (stack.functions.as_slice(), value(stack))))
    }
}

/// The raw messages of a profile, gzip or not.
pub(crate) fn decode(bytes: &[u8], name: &str) -> Result<messages::Profile> {
    let bad = |cause| Error::input(format!("{name} is no profile: {cause}"));
    let plain = if bytes.starts_with(&[0x1f, 0x8b]) { gunzipped(bytes, name)? } else { bytes.to_vec() };
    if plain.len() as u64 > MAX_BYTES {
        return Err(bad(format!("more than {MAX_BYTES} bytes")));
    }
    let profile = messages::Profile::decode(&*plain).map_err(|e| bad(e.to_string()))?;
    match profile.sample_type.is_empty() || profile.string_table.first().is_none_or(|first| !first.is_empty()) {
        true => Err(bad("no sample types or no string table".to_owned())),
        false => Ok(profile),
    }
}

fn gunzipped(bytes: &[u8], name: &str) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(MAX_BYTES + 1).read_to_end(&mut plain);
    read.map_err(|e| Error::input(format!("{name} is not whole gzip")).because(e))?;
    Ok(plain)
}

struct Resolver<'p> {
    profile: &'p messages::Profile,
    locations: HashMap<u64, &'p messages::Location>,
    functions: HashMap<u64, &'p messages::Function>,
}

impl<'p> Resolver<'p> {
    fn new(profile: &'p messages::Profile) -> Resolver<'p> {
        let locations = profile.location.iter().map(|location| (location.id, location)).collect();
        let functions = profile.function.iter().map(|function| (function.id, function)).collect();
        Resolver { profile, locations, functions }
    }

    fn text(&self, index: i64) -> &'p str {
        let entry = usize::try_from(index).ok().and_then(|index| self.profile.string_table.get(index));
        entry.map_or("", String::as_str)
    }

    fn stack(&self, sample: &messages::Sample) -> Stack {
        let locations = sample.location_id.iter().filter_map(|id| self.locations.get(id));
        let text_label = |label: &messages::Label| {
            (label.str != 0).then(|| (self.text(label.key).to_owned(), self.text(label.str).to_owned()))
        };
        Stack {
            functions: locations.flat_map(|location| self.location(location)).collect(),
            values: sample.value.clone(),
            labels: sample.label.iter().filter_map(text_label).collect(),
        }
    }

    fn location(&self, location: &messages::Location) -> Vec<String> {
        if location.line.is_empty() {
            return vec![format!("{:#x}", location.address)];
        }
        let name = |line: &messages::Line| self.functions.get(&line.function_id).map_or("", |f| self.text(f.name));
        location.line.iter().map(|line| name(line).to_owned()).collect()
    }
}
