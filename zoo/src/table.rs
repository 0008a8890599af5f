//! Runs the programs, some at a time, and prints what the verdict said of each.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::Animal;

pub fn run(seconds: u64, jobs: usize, only: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let animals: Vec<Animal> = crate::animals().into_iter().filter(|a| only.is_none_or(|o| a.name == o)).collect();
    println!("{:<26} {:<18} {:<8} {:>6}  rank 1", "program", "leaks in", "verdict", "sure");
    let mut wrong = 0;
    for some in animals.chunks(jobs.max(1)) {
        let started: Vec<(&Animal, Child)> =
            some.iter().map(|a| Ok((a, start(a, seconds)?))).collect::<std::io::Result<_>>()?;
        for (animal, child) in started {
            let out = child.wait_with_output()?;
            let report: Value = serde_json::from_slice(&out.stdout)?;
            wrong += usize::from(!judge(animal, &report));
        }
    }
    println!("\n{} programs, {wrong} judged wrongly", animals.len());
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} wrong verdicts").into()) }
}

fn start(animal: &Animal, seconds: u64) -> std::io::Result<Child> {
    let seconds = (seconds * animal.stretch).to_string();
    let program = std::env::current_exe()?;
    Command::new(program).args(["one", animal.name, "--seconds", &seconds]).stdout(Stdio::piped()).spawn()
}

fn judge(animal: &Animal, report: &Value) -> bool {
    let first = &report["leaks"][0];
    let function = first["responsible_frame"]["function"].as_str().unwrap_or("-");
    let right = match animal.leaks_in {
        Some(wanted) => function.contains(wanted),
        None => report["verdict"]["leak"] == Value::Bool(false),
    };
    let verdict = if right { "right" } else { "WRONG" };
    let sure = first["confidence"].as_f64().unwrap_or(0.0);
    println!("{:<26} {:<18} {verdict:<8} {sure:>6.2}  {function}", animal.name, animal.leaks_in.unwrap_or("nowhere"));
    right
}
