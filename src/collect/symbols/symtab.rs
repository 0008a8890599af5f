//! Names from the symbol table, for a batch of addresses in one scan and without an index.

use super::image::{Image, Symbol};

/// Symbols kept for one address: identical functions are merged by the compiler and share their code.
const MAX_ALIASES: usize = 8;

/// Mangled names of the functions that hold sorted addresses, in their order. Aliases of one function stand side by side.
pub(super) fn names<'a>(image: &'a Image, addresses: &[u64]) -> Vec<Vec<Symbol<'a>>> {
    let mut found: Vec<Vec<Symbol<'a>>> = vec![Vec::new(); addresses.len()];
    image.each_function(|symbol| {
        // Assembly functions often have no size; such a symbol answers for its first instruction only when nothing better is known.
        let end = symbol.begin.saturating_add(symbol.size.max(1));
        let from = addresses.partition_point(|&a| a < symbol.begin);
        let inside = addresses.iter().zip(found.iter_mut()).skip(from).take_while(|(address, _)| **address < end);
        inside.for_each(|(_, aliases)| {
            if aliases.len() < MAX_ALIASES {
                aliases.push(symbol);
            }
        });
    });
    found
}

/// The alias whose name the debug information confirms, else the first.
pub(super) fn choose<'a>(aliases: &[Symbol<'a>], plain_name: Option<&str>) -> Option<&'a str> {
    let base = plain_name.map(|name| name.split('<').next().unwrap_or(name));
    let confirmed = base.filter(|b| !b.is_empty()).and_then(|base| aliases.iter().find(|s| s.name.contains(base)));
    confirmed.or_else(|| aliases.first()).map(|symbol| symbol.name)
}
