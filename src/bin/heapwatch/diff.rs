//! `heapwatch diff`: which call sites grew from one report or profile to another.

use std::process::ExitCode;

use clap::Args;
use heapwatch::export::report::diff::{Diff, of_profiles, of_reports};
use heapwatch::{Error, Result};

use crate::live::{Document, Reader, printable};
use crate::series::{Format, format_or_default, print};

#[derive(Debug, Args)]
pub struct Arguments {
    /// The older: a dump, a folder of dumps, a profile (profile.proto), or the address of a live process or of its profile
    #[arg(value_name = "A")]
    before: String,
    /// The newer, of the same kind
    #[arg(value_name = "B")]
    after: String,
    #[command(flatten)]
    reader: Reader,
    /// Rank by growth per request; where no endpoint is known, per gigabyte allocated
    #[arg(long)]
    per_request: bool,
    /// Sites shown
    #[arg(long, value_name = "N", default_value_t = 50)]
    top: usize,
    /// How to print; text on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    format: Option<Format>,
}

pub fn run(args: &Arguments) -> Result<ExitCode> {
    let mut diff = args.difference()?;
    if args.per_request {
        diff.rank_by_load()?;
    }
    diff.keep(args.top);
    print(&match format_or_default(args.format) {
        Format::Json => diff.to_json(),
        Format::Csv => diff.to_csv(),
        Format::Text => printable(&diff.to_text()),
    })?;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn difference(&self) -> Result<Diff> {
        let names = [self.before.as_str(), self.after.as_str()];
        match (self.reader.document(names[0])?, self.reader.document(names[1])?) {
            (Document::Report(before), Document::Report(after)) => Ok(of_reports(&before, &after, names)),
            (Document::Profile(before), Document::Profile(after)) => of_profiles(&before, &after, names),
            _ => {
                let what = format!("{} and {} are a report and a profile; give two of one kind", names[0], names[1]);
                Err(Error::bad_argument(&what))
            }
        }
    }
}
