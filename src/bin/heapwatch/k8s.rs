//! `heapwatch k8s`: what containers should request and be limited to.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use heapwatch::analyze::sizing::fleet::Fleet;
use heapwatch::analyze::sizing::{Options, Status, Strategy, recommend};
use heapwatch::export::sizing_report::SizingReport;
use heapwatch::export::sizing_yaml::{self, Manifest};
use heapwatch::source::prometheus_api::{FleetQuery, read_fleet};
use heapwatch::source::usage_csv;
use heapwatch::{Error, Result};

use crate::prometheus::{Connection, Stretch, progress};
use crate::series::print;

/// Recommends memory requests and limits for the containers of a cluster.
#[derive(Debug, Args)]
pub struct K8s {
    #[command(flatten)]
    pub source: FleetSource,
    /// Whose rule makes the recommendation
    #[arg(long, value_enum, default_value = "ours")]
    strategy: Rule,
    /// Days that the recommendation has to hold
    #[arg(long, value_name = "DAYS", default_value_t = 7.0)]
    horizon: f64,
    /// Chance of passing the limit within that time, 0–1
    #[arg(long, default_value_t = 0.01)]
    risk: f64,
    /// Request as much as the limit (QoS class Guaranteed)
    #[arg(long)]
    guaranteed: bool,
    /// Price of one GiB of request a month
    #[arg(long, value_name = "MONEY")]
    price: Option<f64>,
    /// How the answer is printed; text on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Also write a patch and an autoscaler for each workload into this folder, with a kustomize component
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Exit with 1 when a workload has this status
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
}

/// Where a fleet's use comes from.
#[derive(Debug, Args)]
pub struct FleetSource {
    /// Address of a Prometheus-compatible server
    #[arg(long, value_name = "URL", required_unless_present = "input", conflicts_with = "input")]
    pub prometheus: Option<String>,
    /// CSV with the header `timestamp,namespace,workload,pod,container,usage_bytes,request_bytes,limit_bytes[,oom_kills]`;
    /// `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Label matchers that select containers, such as `namespace="shop"`
    #[arg(long, value_name = "MATCHERS", default_value = "", requires = "prometheus")]
    pub selector: String,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub stretch: Stretch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rule {
    Ours,
    Vpa,
    Krr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Json,
    Csv,
    Text,
    Yaml,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Leaking,
    UnderProvisioned,
    OverProvisioned,
}

pub fn run(args: &K8s) -> Result<ExitCode> {
    let options = args.options()?;
    let mut fleet = args.source.read(args.strategy == Rule::Krr)?;
    if args.strategy == Rule::Ours {
        fleet.find_leaks();
    }
    let now_s = fleet.now_s;
    let recommendations = fleet.workloads.iter().map(|w| recommend(w, now_s, &options)).collect();
    let report = SizingReport::new(recommendations, fleet.notes);
    let manifests = sizing_yaml::manifests(&report.recommendations);
    if let Some(dir) = &args.output_dir {
        write_all(dir, &manifests)?;
    }
    print(&match args.form() {
        Form::Json => report.to_json(),
        Form::Csv => report.to_csv(),
        Form::Text => report.to_text(),
        Form::Yaml => sizing_yaml::to_yaml(&manifests)?,
    })?;
    let found = args.fail_on.is_some_and(|status| report.has(status.into()));
    Ok(ExitCode::from(u8::from(found)))
}

impl K8s {
    fn options(&self) -> Result<Options> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if !positive(self.horizon)
            || !positive(self.risk)
            || self.risk >= 1.0
            || self.price.is_some_and(|p| !positive(p))
        {
            return Err(Error::bad_argument("--horizon and --price must be positive, --risk between 0 and 1"));
        }
        Ok(Options {
            strategy: match self.strategy {
                Rule::Ours => Strategy::Ours,
                Rule::Vpa => Strategy::Vpa,
                Rule::Krr => Strategy::Krr,
            },
            horizon_days: self.horizon,
            risk: self.risk,
            guaranteed: self.guaranteed,
            price_per_gib_month: self.price,
            ..Options::default()
        })
    }

    fn form(&self) -> Form {
        let terminal = io::IsTerminal::is_terminal(&io::stdout());
        self.format.unwrap_or(if terminal { Form::Text } else { Form::Json })
    }
}

impl FleetSource {
    /// Reads all; with `instants` the samples at the steps only, as KRR does.
    pub fn read(&self, instants: bool) -> Result<Fleet> {
        match (&self.prometheus, &self.input) {
            (Some(url), _) => {
                let client = self.connection.client(url)?;
                let query = FleetQuery { matchers: self.selector.clone(), range: self.stretch.range(), instants };
                let bar = progress();
                read_fleet(&client, &query, &mut |done, all| {
                    bar.set_length(all as u64);
                    bar.set_position(done as u64);
                })
            }
            (None, Some(path)) if path.as_os_str() == "-" => usage_csv::read(io::stdin().lock(), "standard input"),
            (None, Some(path)) => {
                let name = path.display().to_string();
                let file = File::open(path).map_err(|e| Error::cannot_read(&name, e))?;
                usage_csv::read(crate::series::reading(file), &name)
            }
            (None, None) => Err(Error::bad_argument("give --prometheus URL or --input FILE")),
        }
    }
}

impl From<FailOn> for Status {
    fn from(status: FailOn) -> Status {
        match status {
            FailOn::Leaking => Status::Leaking,
            FailOn::UnderProvisioned => Status::UnderProvisioned,
            FailOn::OverProvisioned => Status::OverProvisioned,
        }
    }
}

/// Writes each file under another name and renames it into place, so that none is ever half there.
fn write_all(dir: &Path, manifests: &[Manifest]) -> Result<()> {
    let failed = |path: &Path| {
        let name = path.display().to_string();
        move |e| Error::cannot_write(&name, e)
    };
    fs::create_dir_all(dir).map_err(failed(dir))?;
    let component = (String::from("kustomization.yaml"), sizing_yaml::component(manifests)?);
    let files = manifests.iter().map(|m| Ok((m.file.clone(), sizing_yaml::document(&m.object)?)));
    for (file, text) in files.chain(std::iter::once(Ok(component))).collect::<Result<Vec<_>>>()? {
        let (path, part) = (dir.join(&file), dir.join(format!(".{file}.part")));
        fs::write(&part, text).map_err(failed(&part))?;
        fs::rename(&part, &path).map_err(failed(&path))?;
    }
    Ok(())
}
