//! Whose code a frame is: told from its source file where the debug information has one, else from its name.
//!
//! Cargo keeps dependencies in a registry or in git checkouts, the compiler remaps the standard library under
//! `/rustc/<hash>/library`, vendored crates live in `vendor/`; what is elsewhere is the service's own source tree.

use super::dwarf::UnitOrigin;
use crate::snapshot::Origin;

/// What a source file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) origin: Origin,
    pub(super) krate: Option<String>,
    /// Module path within the crate: `collections::vec_deque`, empty at the root.
    pub(super) module: String,
}

/// `hashbrown` is the standard library's map, and a container where a service uses it directly.
const STD_CRATES: [&str; 8] =
    ["std", "core", "alloc", "proc_macro", "test", "hashbrown", "panic_unwind", "compiler_builtins"];

/// Allocators and their bindings: whatever they do, they do it on behalf of a caller.
const ALLOCATOR_CRATES: [&str; 12] = [
    "heapwatch",
    "mimalloc",
    "libmimalloc_sys",
    "tikv_jemallocator",
    "tikv_jemalloc_sys",
    "jemallocator",
    "jemalloc_sys",
    "snmalloc_rs",
    "snmalloc_sys",
    "rpmalloc",
    "rpmalloc_sys",
    "tcmalloc",
];

/// Types that stand where a crate's name would: `usize::checked_add` is in core.
const PRIMITIVES: [&str; 17] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64", "bool",
    "char", "str",
];

const ALLOCATOR_SYMBOLS: [&str; 12] = [
    "malloc",
    "calloc",
    "realloc",
    "free",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
    "reallocarray",
    "cfree",
    "_int_malloc",
    "valloc",
    "malloc_usable_size",
];

const ALLOCATOR_PREFIXES: [&str; 9] =
    ["__rust_alloc", "__rust_realloc", "__rust_dealloc", "__rust_no_alloc", "__rdl_", "__rg_", "mi_", "_mi_", "_rjem_"];

/// Code that runs before `main` or a thread's closure.
const START_SYMBOLS: [&str; 9] = [
    "_start",
    "main",
    "__libc_start_main",
    "__libc_start_call_main",
    "__libc_start_main_impl",
    "start_thread",
    "clone",
    "clone3",
    "__clone",
];

/// The standard library's own modules that hand memory out.
const STD_ALLOCATOR_FILES: [&str; 4] =
    ["alloc/src/alloc.rs", "core/src/alloc/", "std/src/alloc.rs", "std/src/sys/alloc/"];

/// Crate, origin and module of a source file. `None` for what is no Rust source.
pub(super) fn of_file(path: &str, unit: &UnitOrigin) -> Option<Place> {
    path.ends_with(".rs").then(|| {
        std_file(path)
            .or_else(|| after(path, "/registry/src/").map(|rest| packaged(skip_component(rest))))
            .or_else(|| after(path, "/git/checkouts/").map(|rest| packaged(skip_component(skip_component(rest)))))
            .or_else(|| after(path, "/vendor/").or_else(|| path.strip_prefix("vendor/")).map(packaged))
            .or_else(|| versioned(path))
            .unwrap_or_else(|| own(path, unit))
    })
}

fn std_file(path: &str) -> Option<Place> {
    if let Some(rest) = after(path, "/rust/deps/") {
        return Some(Place { origin: Origin::Std, ..packaged(rest) });
    }
    let library = after(path, "/library/").filter(|_| path.starts_with("/rustc/") || path.contains("/rustlib/src/"))?;
    let (krate, _) = library.split_once('/')?;
    let krate = match krate {
        "stdarch" | "portable-simd" => "core",
        "backtrace" => "std",
        other => other,
    };
    let hands_out_memory = STD_ALLOCATOR_FILES.iter().any(|file| library.starts_with(file));
    let origin = if hands_out_memory { Origin::Allocator } else { Origin::Std };
    Some(Place { origin, krate: Some(krate.to_owned()), module: module_path(library).to_owned_module() })
}

/// `tokio-1.40.0/src/runtime/task.rs`, or the same without a version.
fn packaged(rest: &str) -> Place {
    let package = package_of(rest).unwrap_or_else(|| rest.split('/').next().unwrap_or(rest));
    dependency(crate_name(package), module_path(rest))
}

fn dependency(krate: String, module: ModulePath<'_>) -> Place {
    let origin = if is_allocator_crate(&krate) { Origin::Allocator } else { Origin::Dependency };
    Place { origin, krate: Some(krate), module: module.to_owned_module() }
}

/// Trimmed or remapped paths keep the package directory with its version.
fn versioned(path: &str) -> Option<Place> {
    let package = package_of(path)?;
    (crate_name(package).len() < package.len()).then(|| dependency(crate_name(package), module_path(path)))
}

fn own(path: &str, unit: &UnitOrigin) -> Place {
    let below = relative(path, unit);
    let root = unit.root_file.as_deref().map(|file| relative(file, unit));
    let same_package = root.is_some_and(|root| package_root(root) == package_root(below));
    let by_directory = package_of(below).map(crate_name);
    let krate = if same_package { unit.krate.clone().or(by_directory) } else { by_directory.or(unit.krate.clone()) };
    Place { origin: of_own_code(krate.as_deref()), krate, module: module_path(below).to_owned_module() }
}

/// The path below the unit's directory, where it lies there.
pub(super) fn relative<'p>(path: &'p str, unit: &UnitOrigin) -> &'p str {
    let below = unit.directory.as_deref().and_then(|directory| path.strip_prefix(directory));
    below.map_or(path, |rest| rest.trim_start_matches('/'))
}

/// What is known of a frame.
pub(super) struct Told<'t> {
    pub(super) function: &'t str,
    pub(super) krate: Option<&'t str>,
    /// The name came with its path from the linker's name, not from the file.
    pub(super) has_path: bool,
    pub(super) has_line: bool,
    pub(super) place: Option<&'t Place>,
}

impl Told<'_> {
    /// The file decides, unless it cannot be the function's: where code was merged, the compiler gives line 0 of a file that was inlined.
    pub(super) fn origin(&self, unit: &UnitOrigin, main_crate: Option<&str>) -> Origin {
        let by_name = || of_name(self.function, self.krate, main_crate);
        let Some(place) = self.place else { return by_name() };
        let name_is_sure = self.has_path && !self.function.starts_with('<');
        let file_is_doubtful = self.has_path && !self.has_line && !is_library_impl(self.function);
        if name_is_sure || file_is_doubtful {
            let of_unit = unit.krate.is_some() && self.krate == unit.krate.as_deref();
            let root =
                unit.root_file.as_deref().filter(|_| of_unit).and_then(|root| of_file(&absolute(root, unit), unit));
            if let Some(root) = root {
                return root.origin_of(self.krate);
            }
            if self.krate.is_some_and(|krate| STD_CRATES.contains(&krate) != place.is_std()) {
                return by_name();
            }
        }
        place.origin_of(self.krate)
    }
}

impl Place {
    fn is_std(&self) -> bool {
        self.krate.as_deref().is_some_and(|krate| STD_CRATES.contains(&krate)) || self.origin == Origin::Std
    }

    fn origin_of(&self, krate: Option<&str>) -> Origin {
        if self.origin == Origin::Application { of_own_code(krate) } else { self.origin }
    }
}

fn absolute(file: &str, unit: &UnitOrigin) -> String {
    match &unit.directory {
        Some(directory) if !file.starts_with('/') => format!("{directory}/{file}"),
        _ => file.to_owned(),
    }
}

/// Private traits of the standard library, implemented for everybody's types.
fn is_library_impl(function: &str) -> bool {
    function.contains(" as alloc::vec::") || function.contains(" as alloc::slice::")
}

/// Origin by the demangled name alone; `main_crate` is the program's own crate, where it is known.
fn of_name(function: &str, krate: Option<&str>, main_crate: Option<&str>) -> Origin {
    match krate {
        None => of_c_symbol(function),
        Some(_) if is_library_impl(function) => Origin::Std,
        Some("alloc") if function.starts_with("alloc::alloc::") => Origin::Allocator,
        Some("__rustc") => of_c_symbol(function.trim_start_matches("__rustc::")),
        Some(name) if is_allocator_crate(name) => Origin::Allocator,
        Some(name) if STD_CRATES.contains(&name) => Origin::Std,
        Some(name) if main_crate == Some(name) => Origin::Application,
        Some(_) => Origin::Dependency,
    }
}

/// Origin of code in the service's own tree: an allocator that lives there is still an allocator.
fn of_own_code(krate: Option<&str>) -> Origin {
    if krate.is_some_and(is_allocator_crate) { Origin::Allocator } else { Origin::Application }
}

fn of_c_symbol(name: &str) -> Origin {
    let name = name.split('@').next().unwrap_or(name);
    let allocates =
        ALLOCATOR_SYMBOLS.contains(&name) || ALLOCATOR_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    match () {
        () if allocates => Origin::Allocator,
        () if name.starts_with("__rust") || START_SYMBOLS.contains(&name) => Origin::Std,
        () => Origin::Unknown,
    }
}

fn is_allocator_crate(name: &str) -> bool {
    ALLOCATOR_CRATES.contains(&name)
}

/// The crate at the head of a demangled path: of `<app::Store as Trait>::get` it is `app`.
pub(super) fn crate_of_name(function: &str) -> Option<&str> {
    let path = function.trim_start_matches(['<', '&', '*', '(', '[']);
    let path = path.trim_start_matches("mut ").trim_start_matches("const ").trim_start_matches("dyn ");
    let (head, rest) = path.split_once("::").filter(|(head, _)| !PRIMITIVES.contains(head))?;
    let is_path = !head.is_empty() && head.chars().all(|c| c.is_alphanumeric() || c == '_') && !rest.is_empty();
    // A bare type parameter at the head (`<T as core::convert::Into<U>>::into`) leaves the crate to the trait.
    is_path.then_some(head).or_else(|| crate_of_name(path.split_once(" as ")?.1))
}

/// `serde-json-1.0.2` and `serde-json` are the crate `serde_json`.
fn crate_name(package: &str) -> String {
    let version = package.match_indices('-').find(|(at, _)| is_version(&package[at + 1..]));
    version.map_or(package, |(at, _)| &package[..at]).replace('-', "_")
}

fn is_version(text: &str) -> bool {
    let mut parts = text.splitn(3, '.');
    let mut number = || parts.next().is_some_and(|p| !p.is_empty() && p.starts_with(|c: char| c.is_ascii_digit()));
    number() && number() && number()
}

fn after<'p>(path: &'p str, marker: &str) -> Option<&'p str> {
    path.rfind(marker).and_then(|at| path.get(at + marker.len()..))
}

fn skip_component(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, rest)| rest)
}

/// The directory that holds `src/`.
fn package_of(path: &str) -> Option<&str> {
    let root = package_root(path).trim_end_matches('/');
    root.rsplit('/').next().filter(|name| !name.is_empty())
}

/// Up to the directory of sources: `crates/store/` of `crates/store/src/lib.rs`.
fn package_root(path: &str) -> &str {
    source_root(path).map_or("", |(root, _)| root)
}

/// Splits at the last directory of sources into the package's root and the rest.
fn source_root(path: &str) -> Option<(&str, &str)> {
    ["src/", "examples/", "benches/", "tests/"].iter().find_map(|directory| {
        let at = path.match_indices(directory).filter(|(at, _)| *at == 0 || path[..*at].ends_with('/')).last()?.0;
        Some((&path[..at], &path[at + directory.len()..]))
    })
}

/// A file below the directory of sources.
struct ModulePath<'p>(&'p str);

fn module_path(path: &str) -> ModulePath<'_> {
    ModulePath(
        source_root(path).filter(|(root, _)| path[root.len()..].starts_with("src/")).map_or("", |(_, rest)| rest),
    )
}

impl ModulePath<'_> {
    fn to_owned_module(&self) -> String {
        let stem = self.0.trim_end_matches(".rs");
        let stem = stem.strip_suffix("/mod").unwrap_or(stem);
        match stem {
            "lib" | "main" | "mod" => String::new(),
            target if target.starts_with("bin/") => String::new(),
            module => module.replace('/', "::"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";
    const HASH: &str = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860";

    fn unit() -> UnitOrigin {
        let text = |text: &str| Some(text.to_owned());
        UnitOrigin { directory: text("/build/shop"), krate: text("shop"), root_file: text("src/main.rs") }
    }

    fn told(path: &str) -> (Origin, String, String) {
        let place = of_file(path, &unit()).unwrap();
        (place.origin, place.krate.unwrap_or_default(), place.module)
    }

    fn place(origin: Origin, krate: &str, module: &str) -> (Origin, String, String) {
        (origin, krate.to_owned(), module.to_owned())
    }

    #[test]
    fn the_standard_library_is_told_by_its_remapped_path() {
        let file = |rest: &str| told(&format!("{HASH}/library/{rest}"));
        assert_eq!(file("alloc/src/vec/mod.rs"), place(Origin::Std, "alloc", "vec"));
        assert_eq!(file("std/src/collections/hash/map.rs"), place(Origin::Std, "std", "collections::hash::map"));
        assert_eq!(file("alloc/src/alloc.rs"), place(Origin::Allocator, "alloc", "alloc"));
        let dependency = told("/rust/deps/hashbrown-0.16.1/src/raw/mod.rs");
        assert_eq!(dependency, place(Origin::Std, "hashbrown", "raw"));
        let source = "/home/me/.rustup/toolchains/stable/lib/rustlib/src/rust/library/core/src/option.rs";
        assert_eq!(told(source), place(Origin::Std, "core", "option"));
    }

    #[test]
    fn dependencies_are_told_by_where_cargo_keeps_them() {
        let tokio = format!("{REGISTRY}/tokio-1.40.0/src/runtime/task/core.rs");
        assert_eq!(told(&tokio), place(Origin::Dependency, "tokio", "runtime::task::core"));
        let pre = format!("{REGISTRY}/ring-buffer-0.9.0-rc.1+x/src/lib.rs");
        assert_eq!(told(&pre), place(Origin::Dependency, "ring_buffer", ""));
        let git = "/home/me/.cargo/git/checkouts/axum-8ef1/42c/axum-core/src/body.rs";
        assert_eq!(told(git), place(Origin::Dependency, "axum_core", "body"));
        assert_eq!(told("/build/shop/vendor/serde/src/de/mod.rs"), place(Origin::Dependency, "serde", "de"));
        assert_eq!(told("bytes-1.10.0/src/bytes.rs"), place(Origin::Dependency, "bytes", "bytes"));
        let shim = format!("{REGISTRY}/tikv-jemallocator-0.6.0/src/lib.rs");
        assert_eq!(told(&shim), place(Origin::Allocator, "tikv_jemallocator", ""));
    }

    #[test]
    fn the_rest_is_the_services_own() {
        assert_eq!(told("/build/shop/src/cart/mod.rs"), place(Origin::Application, "shop", "cart"));
        assert_eq!(told("src/main.rs"), place(Origin::Application, "shop", ""));
        assert_eq!(told("/build/shop/crates/shop-db/src/pool.rs"), place(Origin::Application, "shop_db", "pool"));
        assert_eq!(relative("/build/shop/src/cart/mod.rs", &unit()), "src/cart/mod.rs");
        assert_eq!(of_file("/build/shop/src/fast.c", &unit()), None);
    }

    fn origin(function: &str, file: &str, has_line: bool) -> Origin {
        let place = of_file(file, &unit());
        let krate = crate_of_name(function);
        Told { function, krate, has_path: true, has_line, place: place.as_ref() }.origin(&unit(), None)
    }

    #[test]
    fn a_file_that_cannot_be_the_functions_is_not_believed() {
        let std_file = format!("{HASH}/library/core/src/slice/index.rs");
        let own_file = "/build/shop/src/cart.rs";
        assert_eq!(origin("shop::cart::add", &std_file, true), Origin::Application);
        assert_eq!(origin("<shop::Cart as shop::Add>::add", &std_file, false), Origin::Application);
        assert_eq!(origin("<shop::Cart as core::clone::Clone>::clone", &std_file, true), Origin::Std);
        assert_eq!(origin("<shop::Cart as alloc::vec::spec_extend::SpecExtend>::f", &std_file, false), Origin::Std);
        assert_eq!(origin("core::ptr::drop_in_place<shop::Cart>", own_file, true), Origin::Std);
        assert_eq!(origin("tokio::task::spawn", &std_file, true), Origin::Dependency);
        assert_eq!(origin("usize::pow", &std_file, true), Origin::Std);
        assert_eq!(
            origin("alloc::alloc::alloc", &format!("{HASH}/library/alloc/src/alloc.rs"), true),
            Origin::Allocator
        );
    }

    #[test]
    fn names_alone_tell_what_they_can() {
        let of = |name: &str| of_name(name, crate_of_name(name), Some("shop"));
        assert_eq!(of("shop::cart::add"), Origin::Application);
        assert_eq!(of("<shop::Cart as core::fmt::Debug>::fmt"), Origin::Application);
        assert_eq!(of("<T as alloc::slice::hack::ConvertVec>::to_vec"), Origin::Std);
        assert_eq!(of("<shop::Cart as alloc::vec::spec_from_elem::SpecFromElem>::from_elem"), Origin::Std);
        assert_eq!(of("alloc::alloc::exchange_malloc"), Origin::Allocator);
        assert_eq!(of("__rustc::__rust_alloc"), Origin::Allocator);
        assert_eq!(of("heapwatch::record::allocator::alloc"), Origin::Allocator);
        assert_eq!(of("hyper::server::serve"), Origin::Dependency);
        assert_eq!(of("mi_malloc_aligned"), Origin::Allocator);
        assert_eq!(of("__libc_start_main@@GLIBC_2.34"), Origin::Std);
        assert_eq!(of("SSL_CTX_new"), Origin::Unknown);
    }
}
