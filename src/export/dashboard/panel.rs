//! Panels as Grafana's JSON has them: what they show, how they are drawn, and where they stand.

use serde_json::{Value, json};

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines over time.
    Lines,
    /// Areas over time that add up.
    Stack,
    /// The last value, large.
    Stat,
    /// The last value on a scale.
    Gauge,
    /// The last values as bars, largest first.
    Bars,
    /// A histogram over time.
    Heatmap,
    /// The last values as rows.
    Table,
}

/// A query and what its series are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// PromQL.
    pub expr: String,
    /// Name of a series, with `{{label}}` for its labels.
    pub legend: &'static str,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Its heading.
    pub title: &'static str,
    /// What it shows and what to make of it.
    pub description: &'static str,
    /// How it is drawn.
    pub kind: Kind,
    /// Grafana's name of the unit.
    pub unit: &'static str,
    /// Columns of 24.
    pub width: u64,
    /// What it shows.
    pub queries: Vec<Query>,
    /// Values from which on it is yellow and red.
    pub steps: Option<(f64, f64)>,
}

impl Panel {
    /// A panel of one query, without colours.
    pub fn new(title: &'static str, kind: Kind, unit: &'static str, width: u64, expr: String) -> Panel {
        let queries = vec![Query { expr, legend: "{{instance}}" }];
        Panel { title, description: "", kind, unit, width, queries, steps: None }
    }

    /// What it shows and what to make of it. Default: nothing is said.
    pub fn about(self, description: &'static str) -> Panel {
        Panel { description, ..self }
    }

    /// What the series of its first query are called. Default: by instance.
    pub fn named(mut self, legend: &'static str) -> Panel {
        self.queries.iter_mut().take(1).for_each(|q| q.legend = legend);
        self
    }

    /// One more query.
    pub fn and(mut self, expr: String, legend: &'static str) -> Panel {
        self.queries.push(Query { expr, legend });
        self
    }

    /// Yellow from `warn` on, red from `bad` on. Default: one colour.
    pub fn steps(self, warn: f64, bad: f64) -> Panel {
        Panel { steps: Some((warn, bad)), ..self }
    }

    fn height(&self) -> u64 {
        if matches!(self.kind, Kind::Stat) { 4 } else { 8 }
    }

    fn into_value(self, id: u64, (x, y): (u64, u64)) -> Value {
        let height = self.height();
        json!({
            "id": id,
            "type": self.kind.plugin(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": { "x": x, "y": y, "w": self.width, "h": height },
            "targets": self.targets(),
            "fieldConfig": { "defaults": self.field_defaults(), "overrides": [] },
            "options": self.kind.options(),
        })
    }

    fn targets(&self) -> Vec<Value> {
        let form = self.kind.query_format();
        let instant = matches!(self.kind, Kind::Table | Kind::Bars);
        let target = |(i, q): (usize, &Query)| {
            json!({
                "refId": char::from(b'A'.saturating_add(i as u8)).to_string(),
                "datasource": datasource(),
                "expr": q.expr,
                "legendFormat": q.legend,
                "format": form,
                "instant": instant,
                "range": !instant,
                "editorMode": "code",
            })
        };
        self.queries.iter().enumerate().map(target).collect()
    }

    fn field_defaults(&self) -> Value {
        let mut steps = vec![json!({ "color": "green", "value": null })];
        if let Some((warn, bad)) = self.steps {
            steps.extend([json!({ "color": "yellow", "value": warn }), json!({ "color": "red", "value": bad })]);
        }
        let mode = if self.steps.is_some() { "thresholds" } else { "palette-classic" };
        let mut defaults = json!({
            "unit": self.unit,
            "color": { "mode": if self.kind.is_over_time() { "palette-classic" } else { mode } },
            "thresholds": { "mode": "absolute", "steps": steps },
        });
        if let Some(custom) = self.kind.custom(self.steps.is_some()) {
            defaults["custom"] = custom;
        }
        if self.unit == "percentunit" {
            defaults["min"] = json!(0);
        }
        defaults
    }
}

impl Kind {
    fn is_over_time(self) -> bool {
        matches!(self, Kind::Lines | Kind::Stack)
    }

    fn plugin(self) -> &'static str {
        match self {
            Kind::Lines | Kind::Stack => "timeseries",
            Kind::Stat => "stat",
            Kind::Gauge => "gauge",
            Kind::Bars => "bargauge",
            Kind::Heatmap => "heatmap",
            Kind::Table => "table",
        }
    }

    fn query_format(self) -> &'static str {
        match self {
            Kind::Heatmap => "heatmap",
            Kind::Table => "table",
            _ => "time_series",
        }
    }

    /// How lines are drawn; other kinds have nothing of the sort.
    fn custom(self, lines_at_steps: bool) -> Option<Value> {
        let (fill, stacking) = match self {
            Kind::Lines => (5, "none"),
            Kind::Stack => (40, "normal"),
            _ => return None,
        };
        Some(json!({
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": fill,
            "showPoints": "never",
            "stacking": { "mode": stacking, "group": "A" },
            "thresholdsStyle": { "mode": if lines_at_steps { "line" } else { "off" } },
        }))
    }

    fn options(self) -> Value {
        let last = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
        match self {
            Kind::Lines | Kind::Stack => json!({
                "legend": { "displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"] },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Kind::Stat => json!({
                "reduceOptions": last, "orientation": "auto", "colorMode": "value", "graphMode": "area",
                "justifyMode": "auto", "textMode": "auto",
            }),
            Kind::Gauge => json!({
                "reduceOptions": last, "orientation": "auto", "showThresholdLabels": false, "showThresholdMarkers": true,
            }),
            Kind::Bars => json!({
                "reduceOptions": last, "orientation": "horizontal", "displayMode": "gradient", "valueMode": "color",
                "showUnfilled": true,
            }),
            Kind::Heatmap => json!({
                "calculate": false,
                "cellGap": 1,
                "color": { "mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": false },
                "yAxis": { "unit": "bytes" },
                "tooltip": { "show": true, "yHistogram": false },
                "legend": { "show": true },
            }),
            Kind::Table => json!({ "showHeader": true, "cellHeight": "sm" }),
        }
    }
}

/// The data source that the reader picks at the top of the dashboard.
pub fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// A heading and its panels, from row `y` of the grid on; ids from `id` on. Gives the values and the next free row.
pub fn lay_out(title: &str, panels: Vec<Panel>, id: u64, y: u64) -> (Vec<Value>, u64) {
    let grid = json!({ "x": 0, "y": y, "w": COLUMNS, "h": 1 });
    let mut out =
        vec![json!({ "id": id, "type": "row", "title": title, "collapsed": false, "gridPos": grid, "panels": [] })];
    let (mut x, mut top, mut tallest) = (0, y + 1, 0);
    for (panel, id) in panels.into_iter().zip(id + 1..) {
        if x + panel.width > COLUMNS {
            (x, top, tallest) = (0, top + tallest, 0);
        }
        let (width, height) = (panel.width, panel.height());
        out.push(panel.into_value(id, (x, top)));
        (x, tallest) = (x + width, tallest.max(height));
    }
    (out, top + tallest)
}
