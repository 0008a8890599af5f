//! The loaded modules as a snapshot has them: what a profile needs to name its addresses later.

use std::sync::Arc;

use crate::record::stack::Module;
use crate::snapshot::Mapping;

/// Modules as plain data.
pub fn mappings(modules: &[Module]) -> Arc<[Mapping]> {
    modules.iter().map(mapping).collect()
}

fn mapping(module: &Module) -> Mapping {
    Mapping {
        start: module.start as u64,
        end: module.end as u64,
        file_offset: module.file_offset,
        path: module.path.to_string_lossy().into_owned(),
        build_id: module.build_id.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
