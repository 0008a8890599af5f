//! `heapwatch completions`: what a shell needs to complete the arguments.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::{Shell, generate};
use heapwatch::Result;

use crate::series::print;

#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &Arguments, mut command: Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, "heapwatch", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
