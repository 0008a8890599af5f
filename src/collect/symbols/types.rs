//! The element type of an allocation, told from the generic arguments of the container's frames above it.
//!
//! `alloc::raw_vec::RawVec<app::Session>::grow_one` says that what grows holds `app::Session`. The innermost frame that has a
//! rule here answers: outer ones carry iterators and closures besides. Names are known with their arguments where the binary has
//! debug information (`line-tables-only` is enough) or v0 mangling; otherwise there is no answer.

use std::sync::Arc;

use super::names::{list, split_arguments};
use crate::snapshot::{Frame, Origin};

/// What a module's generic arguments mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The first argument is the element.
    Element,
    /// The first two are key and value.
    Entry,
    /// Bytes of a string.
    Text,
    /// Arguments are something else: iterators, closures.
    Skip,
}

/// Longest prefix first. Modules, not types: `line-tables-only` has no type in an inlined method's name.
const RULES: [(&str, Rule); 19] = [
    ("alloc::vec::in_place_collect", Rule::Skip),
    ("alloc::raw_vec", Rule::Element),
    ("alloc::vec", Rule::Element),
    ("alloc::boxed", Rule::Element),
    ("alloc::rc", Rule::Element),
    ("alloc::sync", Rule::Element),
    ("alloc::slice", Rule::Element),
    ("alloc::string", Rule::Text),
    ("alloc::str", Rule::Text),
    ("alloc::fmt", Rule::Text),
    ("alloc::collections::btree::map", Rule::Entry),
    ("alloc::collections::vec_deque", Rule::Element),
    ("alloc::collections::linked_list", Rule::Element),
    ("alloc::collections::binary_heap", Rule::Element),
    ("hashbrown::raw", Rule::Element),
    ("hashbrown::map", Rule::Entry),
    ("std::collections::hash::map", Rule::Entry),
    ("crossbeam_channel::flavors", Rule::Element),
    ("tokio::sync::mpsc", Rule::Element),
];

/// Headers and nodes around the element that containers allocate: `(path, key and value)`.
const WRAPPERS: [(&str, bool); 16] = [
    ("alloc::sync::ArcInner", false),
    ("alloc::rc::RcInner", false),
    ("alloc::rc::RcBox", false),
    ("core::mem::maybe_uninit::MaybeUninit", false),
    ("core::mem::manually_drop::ManuallyDrop", false),
    ("core::cell::UnsafeCell", false),
    ("alloc::collections::linked_list::Node", false),
    ("alloc::collections::btree::node::LeafNode", true),
    ("alloc::collections::btree::node::InternalNode", true),
    ("std::sync::mpmc::list::Block", false),
    ("std::sync::mpmc::array::Slot", false),
    ("crossbeam_channel::flavors::list::Block", false),
    ("crossbeam_channel::flavors::array::Slot", false),
    ("tokio::sync::mpsc::block::Block", false),
    ("tokio::runtime::task::core::Cell", false),
    ("crossbeam_utils::cache_padded::CachePadded", false),
];

/// The types that mark the value of a set, which has none.
const SET_VALUES: [&str; 2] = ["()", "alloc::collections::btree::set_val::SetValZST"];

/// Element type of the allocation at the leaf of `frames` (leaf first): `app::Session` for a `Vec<app::Session>`, `(u64, app::Session)` for
/// a map, the future's for a spawned task. Types of the standard library are spelled without their path.
pub fn type_name(frames: &[Frame]) -> Option<Arc<str>> {
    let mut container = frames.iter().map(|frame| (frame, rule(&frame.function)));
    let container = container.by_ref().take_while(|(frame, rule)| rule.is_some() || is_library(frame.origin));
    let mut bytes = false;
    for (frame, rule) in container {
        match rule.and_then(|rule| element(&frame.function, rule)) {
            Some(Element::Text) => return Some("String".into()),
            Some(Element::Type(element)) if element == "u8" => bytes = true,
            Some(Element::Type(element)) if !bytes => return Some(tidy(&element).into()),
            _ => {}
        }
    }
    bytes.then(|| "Vec<u8>".into())
}

fn is_library(origin: Origin) -> bool {
    matches!(origin, Origin::Std | Origin::Allocator)
}

fn rule(function: &str) -> Option<Rule> {
    let path = function.trim_start_matches('<');
    let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("::"));
    RULES.iter().find(|(prefix, _)| below(prefix)).map(|&(_, rule)| rule)
}

enum Element {
    Text,
    Type(String),
}

fn element(function: &str, rule: Rule) -> Option<Element> {
    let arguments = arguments(function);
    let found = match (rule, arguments.as_slice()) {
        (Rule::Skip, _) => return None,
        (Rule::Text, _) => return Some(Element::Text),
        (Rule::Entry, [key, value, ..]) => entry(key, value),
        (Rule::Element | Rule::Entry, [first, ..]) => unwrapped(first),
        (Rule::Element | Rule::Entry, []) => return None,
    };
    is_element(&found).then_some(Element::Type(found))
}

/// Functions that take only a closure or an iterator say nothing of the element; `_` is an argument that was left out.
fn is_element(name: &str) -> bool {
    let adapter = name.starts_with("core::iter::") || name.starts_with("alloc::vec::into_iter::");
    !name.is_empty() && name != "_" && !adapter && !name.starts_with("alloc::alloc::")
}

/// All generic arguments of a function's path, in order: of the type, then of the method.
fn arguments(function: &str) -> Vec<&str> {
    // Of `<Vec<T> as Trait<U>>::f` only the type before ` as ` is the container.
    let own = function.strip_prefix('<').map_or(function, |inner| inner.split(" as ").next().unwrap_or(inner));
    let mut all = Vec::new();
    let mut rest = own;
    while rest.contains('<') {
        let (base, arguments) = split_arguments(rest);
        let Some(last) = arguments.last() else { break };
        let consumed = last.as_ptr() as usize - rest.as_ptr() as usize + last.len();
        debug_assert!(consumed > base.len());
        all.extend(arguments.iter().copied());
        rest = rest.get(consumed + 1..).unwrap_or_default();
    }
    all.retain(|argument| !argument.starts_with('\''));
    all
}

/// Takes headers and nodes off: `alloc::sync::ArcInner<app::Config>` is `app::Config`.
fn unwrapped(name: &str) -> String {
    let (base, arguments) = split_arguments(name);
    let wrapper = WRAPPERS.iter().find(|(path, _)| *path == base);
    match (wrapper, arguments.as_slice()) {
        (Some((_, true)), [key, value, ..]) => entry(key, value),
        (Some(_), [first, ..]) => unwrapped(first),
        _ => pair(name).unwrap_or_else(|| name.to_owned()),
    }
}

/// A table of a set holds `(T, ())`.
fn pair(name: &str) -> Option<String> {
    let inner = name.strip_prefix('(')?.strip_suffix(')')?;
    match list(inner).as_slice() {
        [key, value] if SET_VALUES.contains(value) => Some((*key).to_owned()),
        _ => None,
    }
}

fn entry(key: &str, value: &str) -> String {
    if SET_VALUES.contains(&value) { key.to_owned() } else { format!("({key}, {value})") }
}

/// Paths of the standard library shortened to their last segment, compiler-made names made readable.
fn tidy(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut word = String::new();
    for c in name.chars() {
        if c.is_alphanumeric() || matches!(c, '_' | ':' | '#' | '{' | '}') {
            word.push(c);
            continue;
        }
        push_path(&mut out, &word);
        word.clear();
        out.push(c);
    }
    push_path(&mut out, &word);
    out
}

fn push_path(out: &mut String, path: &str) {
    let standard = ["alloc::", "core::", "std::", "hashbrown::"].iter().any(|root| path.starts_with(root));
    let compiler_made = path.contains('{');
    if standard && !compiler_made {
        out.push_str(path.rsplit("::").next().unwrap_or(path));
        return;
    }
    let segments: Vec<String> = path.split("::").map(readable).collect();
    out.push_str(&segments.join("::"));
}

/// `{async_fn_env#0}` is `{async fn}`, `{closure_env#2}` is `{closure}`.
fn readable(segment: &str) -> String {
    let Some(inner) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) else { return segment.to_owned() };
    let kind = inner.split('#').next().unwrap_or(inner);
    format!("{{{}}}", kind.trim_end_matches("_env").replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Option<String> {
        let frame = |name: &&str| {
            let origin = if name.starts_with("app") { Origin::Application } else { Origin::Std };
            Frame { function: (*name).into(), origin, ..Frame::default() }
        };
        type_name(&names.iter().map(frame).collect::<Vec<_>>()).map(|t| t.to_string())
    }

    #[test]
    fn the_innermost_container_answers() {
        let grow = [
            "alloc::raw_vec::finish_grow",
            "alloc::raw_vec::RawVec<app::Session>::grow_one",
            "alloc::vec::push<app::X>",
        ];
        assert_eq!(of(&grow).as_deref(), Some("app::Session"));
        let collected = [
            "alloc::vec::in_place_collect::from_iter_in_place<core::iter::Map<X>, app::B>",
            "alloc::vec::from_iter<app::B, I>",
        ];
        assert_eq!(of(&collected).as_deref(), Some("app::B"));
    }

    #[test]
    fn headers_nodes_and_sets_are_seen_through() {
        assert_eq!(of(&["alloc::boxed::new<alloc::sync::ArcInner<app::C>>"]).as_deref(), Some("app::C"));
        let leaf = "alloc::boxed::new_uninit_in<alloc::collections::btree::node::LeafNode<u64, app::S>>";
        assert_eq!(of(&[leaf]).as_deref(), Some("(u64, app::S)"));
        assert_eq!(of(&["hashbrown::raw::reserve_rehash<(app::K, ())>"]).as_deref(), Some("app::K"));
        let task =
            "alloc::boxed::new<tokio::runtime::task::core::Cell<app::run::{async_fn_env#0}, alloc::sync::Arc<H>>>";
        assert_eq!(of(&[task]).as_deref(), Some("app::run::{async fn}"));
    }

    #[test]
    fn bytes_are_text_where_a_string_asked_for_them() {
        assert_eq!(
            of(&["alloc::raw_vec::reserve<u8>", "alloc::string::push_str", "app::f"]).as_deref(),
            Some("String")
        );
        assert_eq!(
            of(&["alloc::raw_vec::reserve<u8>", "alloc::vec::extend<u8>", "app::f"]).as_deref(),
            Some("Vec<u8>")
        );
    }

    #[test]
    fn nothing_is_said_beyond_the_code_that_asked() {
        assert_eq!(of(&["alloc::alloc::alloc", "app::raw", "alloc::vec::Vec<app::S>::push"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn standard_types_lose_their_path_only() {
        assert_eq!(tidy("alloc::vec::Vec<alloc::string::String>"), "Vec<String>");
        assert_eq!(tidy("(u64, core::option::Option<app::store::Row>)"), "(u64, Option<app::store::Row>)");
    }
}
