//! One readable name from what the binary has: the linkage name brings the path, `DW_AT_name` the generic arguments.
//!
//! Legacy mangling has the path with the parameters' letters (`alloc::vec::Vec<T,A>::push`), v0 mangling has everything,
//! `line-tables-only` has the last segment with arguments and the file, from which the module path is told.

use super::origin::Place;

/// Longer names are cut: deeply nested futures reach many kilobytes.
const MAX_NAME_BYTES: usize = 1024;

/// Full name of a function; `None` when nothing is known of it.
pub(super) fn full(linkage: Option<&str>, plain: Option<&str>, place: Option<&Place>) -> Option<String> {
    let name = match (linkage.map(demangled), plain) {
        (Some(path), _) if is_v0(linkage) => path,
        (Some(path), Some(plain)) => with_arguments(path, plain),
        (Some(path), None) => path,
        (None, Some(plain)) => in_module(plain, place),
        (None, None) => return None,
    };
    Some(cut(tidy(&name)))
}

fn is_v0(linkage: Option<&str>) -> bool {
    linkage.is_some_and(|name| name.starts_with("_R"))
}

fn demangled(linkage: &str) -> String {
    // The alternate form leaves the hash out.
    let name = format!("{:#}", rustc_demangle::demangle(linkage));
    unwrapped(&name).replace("::<", "<").replace("{{", "{").replace("}}", "}")
}

/// `<alloc::vec::Vec<T>>::push` is `alloc::vec::Vec<T>::push`; `<T as Trait>::f` stays.
fn unwrapped(name: &str) -> String {
    let Some(end) = name.strip_prefix('<').and_then(matching) else { return name.to_owned() };
    let (inner, rest) = (&name[1..=end], &name[end + 2..]);
    let has_trait = top_level(inner).any(|at| inner[at..].starts_with(" as "));
    let is_path = inner.starts_with(|c: char| c.is_alphabetic() || c == '_') && !inner.starts_with("dyn ");
    if has_trait || !is_path || inner.starts_with("impl ") { name.to_owned() } else { format!("{inner}{rest}") }
}

/// Position of the `>` that closes a bracket opened before `text`.
fn matching(text: &str) -> Option<usize> {
    let mut depth = 1usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        before = c;
    }
    None
}

/// Byte positions outside all brackets.
fn top_level(text: &str) -> impl Iterator<Item = usize> {
    let mut depth = 0i32;
    let mut before = ' ';
    text.char_indices().filter_map(move |(at, c)| {
        let outside = depth == 0;
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' if before == '-' => {}
            '>' | ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        before = c;
        outside.then_some(at)
    })
}

/// Splits `push<app::Session, alloc::alloc::Global>` into the base and its arguments.
pub(super) fn split_arguments(name: &str) -> (&str, Vec<&str>) {
    let Some(open) = name.find('<').filter(|&at| at > 0) else { return (name, Vec::new()) };
    let inner = &name[open + 1..];
    let Some(close) = matching(inner) else { return (name, Vec::new()) };
    (&name[..open], list(&inner[..close]))
}

/// Splits a list at its top-level commas.
pub(super) fn list(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for at in top_level(text).filter(|&at| text[at..].starts_with(',')).collect::<Vec<_>>() {
        parts.push(text[start..at].trim());
        start = at + 1;
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Joins a legacy path with the arguments of the plain name: letters of a standard container are replaced, what is left
/// goes to the end. Elsewhere the order of an impl's parameters is not known from the path, so all go to the end.
fn with_arguments(path: String, plain: &str) -> String {
    let (base, arguments) = split_arguments(plain);
    if path.ends_with('>') {
        // `core::ptr::drop_in_place<app::X>` has them already.
        return path;
    }
    let path = match path.rsplit_once("::") {
        // `{closure#0}`, `{async_fn#0}` say more than the path's `{closure}`.
        Some((head, "{closure}")) if base.starts_with('{') => format!("{head}::{base}"),
        _ => path,
    };
    let standard = ["alloc::", "std::", "core::", "hashbrown::", "<alloc::", "<std::", "<core::", "<hashbrown::"];
    let letters = if standard.iter().any(|s| path.starts_with(s)) { parameters(&path) } else { Vec::new() };
    if letters.is_empty() || letters.len() > arguments.len() {
        return append(path, &arguments);
    }
    let (bound, rest) = arguments.split_at(letters.len());
    append(substituted(&path, &letters, bound), rest)
}

fn append(path: String, arguments: &[&str]) -> String {
    if arguments.is_empty() { path } else { format!("{path}<{}>", arguments.join(", ")) }
}

/// The single-segment type parameters in a path, in order, each once: `T`, `A` of `Vec<T,A>`.
fn parameters(path: &str) -> Vec<String> {
    let mut letters: Vec<String> = Vec::new();
    for (word, is_parameter) in words(path) {
        if is_parameter && !letters.iter().any(|l| l == word) {
            letters.push(word.to_owned());
        }
    }
    letters
}

fn substituted(path: &str, letters: &[String], arguments: &[&str]) -> String {
    let mut out = String::with_capacity(path.len() * 2);
    let replacement = |word: &str| letters.iter().position(|l| l == word).and_then(|i| arguments.get(i).copied());
    for (word, is_parameter) in words(path) {
        out.push_str(replacement(word).filter(|_| is_parameter).unwrap_or(word));
    }
    out
}

/// Cuts a path into words and what stands between them, and marks the words that are a type parameter: within brackets, no
/// part of a longer path, a single capital letter or one with a digit.
fn words(path: &str) -> Vec<(&str, bool)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut pieces: Vec<(usize, &str)> = Vec::new();
    let mut start = 0;
    for (at, c) in path.char_indices() {
        let previous = path[start..at].chars().next();
        if previous.is_some_and(|p| is_word(p) != is_word(c)) {
            pieces.push((start, &path[start..at]));
            start = at;
        }
    }
    pieces.push((start, &path[start..]));
    let marked = pieces.into_iter().map(|(at, word)| {
        let alone = !path[..at].ends_with("::") && !path[at + word.len()..].starts_with("::");
        let capital = word.starts_with(|c: char| c.is_ascii_uppercase()) && word.len() <= 2;
        (word, at > 0 && alone && capital)
    });
    marked.collect()
}

fn in_module(plain: &str, place: Option<&Place>) -> String {
    let Some(place) = place else { return plain.to_owned() };
    let krate = place.krate.as_deref().unwrap_or_default();
    let parts = [krate, place.module.as_str(), plain];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::")
}

/// Leaves out arguments that are always the same: the global allocator, the default hasher.
fn tidy(name: &str) -> String {
    let mut tidy = name.to_owned();
    for noise in ["alloc::alloc::Global", "std::hash::random::RandomState"].into_iter().filter(|n| name.contains(n)) {
        for (written, kept) in [(", @", ""), (",@", ""), ("<@>", ""), ("<@, ", "<"), ("<@,", "<")] {
            tidy = tidy.replace(&written.replace('@', noise), kept);
        }
    }
    tidy
}

fn cut(mut name: String) -> String {
    if name.len() > MAX_NAME_BYTES {
        let end = (0..=MAX_NAME_BYTES).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
        name.truncate(end);
        name.push('…');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Origin;

    const LEGACY_PUSH: &str = "_ZN5alloc3vec16Vec$LT$T$C$A$GT$4push17h0123456789abcdefE";

    #[test]
    fn a_legacy_path_gets_the_arguments_of_the_plain_name() {
        let plain = Some("push<app::Session, alloc::alloc::Global>");
        assert_eq!(full(Some(LEGACY_PUSH), plain, None).unwrap(), "alloc::vec::Vec<app::Session>::push");
        assert_eq!(full(Some(LEGACY_PUSH), None, None).unwrap(), "alloc::vec::Vec<T,A>::push");
        // The order of an impl's parameters is not known outside the standard library, so they go to the end.
        let own = "_ZN3app14Cache$LT$T$GT$3put17h0123456789abcdefE";
        assert_eq!(full(Some(own), Some("put<u8, u16>"), None).unwrap(), "app::Cache<T>::put<u8, u16>");
    }

    #[test]
    fn a_v0_name_has_everything_and_loses_its_hashes() {
        let name = full(Some("_RNvCs1234_3app4main"), Some("main"), None).unwrap();
        assert_eq!(name, "app::main");
        let method = full(Some("_RNvXs_Cs1234_3appNtB4_5StoreNtB4_4Keep4keep"), Some("keep"), None).unwrap();
        assert_eq!(method, "<app::Store as app::Keep>::keep");
    }

    #[test]
    fn closures_keep_the_number_and_kind_that_the_debug_information_has() {
        let closure = "_ZN3app4main28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE";
        assert_eq!(full(Some(closure), None, None).unwrap(), "app::main::{closure}");
        assert_eq!(full(Some(closure), Some("{async_fn#0}"), None).unwrap(), "app::main::{async_fn#0}");
    }

    #[test]
    fn without_a_linkage_name_the_file_gives_the_path() {
        let place = Place { origin: Origin::Std, krate: Some("alloc".into()), module: "vec".into() };
        let name = full(None, Some("push<app::Session, alloc::alloc::Global>"), Some(&place)).unwrap();
        assert_eq!(name, "alloc::vec::push<app::Session>");
        assert_eq!(full(None, Some("inner"), None).unwrap(), "inner");
        assert_eq!(full(None, None, Some(&place)), None);
    }

    #[test]
    fn arguments_are_split_at_the_top_level_only() {
        let (base, arguments) = split_arguments("f<(u8, u16), fn(u8) -> u16, [u8; 4], A<B, C>>");
        assert_eq!((base, arguments), ("f", vec!["(u8, u16)", "fn(u8) -> u16", "[u8; 4]", "A<B, C>"]));
        assert_eq!(split_arguments("operator<"), ("operator<", vec![]));
        assert_eq!(split_arguments("<T as X>::f").1, Vec::<&str>::new());
    }

    #[test]
    fn no_name_breaks_it_and_none_is_endless() {
        let pieces = ["<", ">", "::", "é", "-", " as ", "{", "}", "(", "T", ",", "_ZN3", "_RN", "dyn ", "#"];
        let mut seed = 1usize;
        for _ in 0..20_000 {
            let name: String = (0..seed % 12)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    pieces[(seed >> 33) % pieces.len()]
                })
                .collect();
            let _ = full(Some(&name), Some(&name), None);
            seed = seed.wrapping_add(1);
        }
        let long = full(Some(&"é".repeat(5000)), None, None).unwrap();
        assert!(long.len() <= MAX_NAME_BYTES + '…'.len_utf8());
    }
}
