//! Call sites: what lives of each, when it was born, and how that changed.
//!
//! A site is all stacks that fold to one key. A new stack is first a site of its own, known by addresses; once it has names it
//! joins the site of its key, and what was counted moves over, as all sites share the stretches of birth. Sites are bounded: at
//! the bound those without live memory that were active longest ago go, and if none can, new stacks are [`OTHER`].

use std::collections::HashMap;
use std::sync::Arc;

use super::ages::{Ages, Step};
use super::history::History;
use super::weight::{Sum, Weight};
use crate::snapshot::{self, AgedSeries, Cohort, Frame, SiteHistory};

/// The site of all that has no site of its own.
pub const OTHER: u32 = 0;

/// Ages for which a site's history keeps how much is at least so old, seconds. More of them: a leak beside churn is told from
/// it at more time scales, and 4 bytes more a point.
pub const LADDER_S: [f64; 9] = [2.0, 5.0, 10.0, 30.0, 120.0, 600.0, 3600.0, 21_600.0, 86_400.0];

/// Points of a site's history.
const HISTORY: usize = 120;
/// Scopes that a site tells apart; the rest is not attributed.
const SCOPES: usize = 8;

/// One site.
#[derive(Debug)]
pub struct Site {
    /// Tells sites apart in this process: the names and the line.
    pub key: u64,
    /// Tells sites apart in reports, by names alone.
    pub id: u64,
    pub stack: Arc<[Frame]>,
    pub allocating_frame: Option<usize>,
    pub application_frame: Option<usize>,
    pub type_name: Option<Arc<str>>,
    sum: Sum,
    cells: Vec<Cell>,
    history: History<Point>,
    scopes: Vec<(u32, f64)>,
    active_s: f64,
}

/// What was born in one stretch of time.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    allocated_bytes: f32,
    live_bytes: f32,
    samples: u32,
    live_samples: u32,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    time_s: f64,
    live_bytes: f64,
    allocated_bytes: f64,
    live_variance: f32,
    aged: [f32; LADDER_S.len()],
}

/// All sites, and the stretches of birth that they share.
#[derive(Debug)]
pub struct SiteTable {
    sites: Vec<Site>,
    by_key: HashMap<u64, u32>,
    vacant: Vec<u32>,
    ages: Ages,
    capacity: usize,
}

/// A sample as a site sees it.
#[derive(Debug, Clone, Copy)]
pub struct Birth {
    pub born_s: f64,
    pub weight: Weight,
    pub scope: u32,
}

impl Site {
    fn new(key: u64, stack: Arc<[Frame]>, cells: usize, now_s: f64) -> Site {
        Site {
            key,
            id: key,
            stack,
            allocating_frame: None,
            application_frame: None,
            type_name: None,
            sum: Sum::default(),
            cells: vec![Cell::default(); cells],
            history: History::new(HISTORY),
            scopes: Vec::new(),
            active_s: now_s,
        }
    }

    /// What lives, and what was ever allocated.
    pub fn usage(&self) -> snapshot::Usage {
        self.sum.usage()
    }

    /// Live bytes of at least this age. Of the stretch that the age falls into, the part by time: without it the series would
    /// climb in steps of a stretch.
    fn live_at_least(&self, ages: &Ages, now_s: f64, age_s: f64) -> f64 {
        let born_until = now_s - age_s;
        let whole = ages.whole_before(born_until);
        let sum: f64 = self.cells.iter().take(whole).map(|c| f64::from(c.live_bytes)).sum();
        let (from, to) = ages.bounds(whole, now_s);
        let part = if to > from { ((born_until - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 };
        sum + part * self.cells.get(whole).map_or(0.0, |c| f64::from(c.live_bytes))
    }

    fn scope(&mut self, scope: u32, bytes: f64) {
        if let Some(entry) = self.scopes.iter_mut().find(|(s, _)| *s == scope) {
            entry.1 += bytes;
        } else if self.scopes.len() < SCOPES {
            self.scopes.push((scope, bytes));
        } else if let Some(empty) = self.scopes.iter_mut().find(|(_, b)| *b <= 0.0) {
            *empty = (scope, bytes);
        }
    }

    /// The scope that holds most of the live bytes; 0 is none.
    pub fn main_scope(&self) -> u32 {
        self.scopes.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(scope, _)| *scope)
    }
}

impl SiteTable {
    /// Room for `capacity` sites, [`OTHER`] included. Births are told apart by `base_s` seconds at the finest.
    pub fn new(capacity: usize, start_s: f64, base_s: f64) -> SiteTable {
        let sites = vec![Site::new(0, Arc::default(), 1, start_s)];
        let (by_key, vacant) = (HashMap::new(), Vec::new());
        SiteTable { sites, by_key, vacant, ages: Ages::new(start_s, base_s), capacity: capacity.max(2) }
    }

    /// The site with this key, made if it is new. [`OTHER`] when there is no room.
    pub fn of_key(&mut self, key: u64, stack: impl FnOnce() -> Arc<[Frame]>, now_s: f64) -> u32 {
        if let Some(site) = self.by_key.get(&key) {
            return *site;
        }
        if self.vacant.is_empty() && self.sites.len() >= self.capacity {
            return OTHER;
        }
        let site = Site::new(key, stack(), self.ages.count(), now_s);
        let index = match self.vacant.pop() {
            Some(index) => {
                self.sites[index as usize] = site;
                index
            }
            None => {
                self.sites.push(site);
                (self.sites.len() - 1) as u32
            }
        };
        self.by_key.insert(key, index);
        index
    }

    /// Whether the next new site would be [`OTHER`].
    pub fn is_full(&self) -> bool {
        self.vacant.is_empty() && self.sites.len() >= self.capacity
    }

    /// Frees the older half of the sites without live samples; answers which.
    pub fn evict(&mut self) -> Vec<u32> {
        let idle = |s: &Site| s.usage().live_samples == 0;
        let mut gone: Vec<u32> = self.by_key.values().copied().filter(|i| idle(&self.sites[*i as usize])).collect();
        gone.sort_by(|a, b| self.sites[*a as usize].active_s.total_cmp(&self.sites[*b as usize].active_s));
        gone.truncate(gone.len().div_ceil(2));
        gone.iter().for_each(|i| self.remove(*i));
        gone
    }

    fn remove(&mut self, index: u32) {
        let site = &mut self.sites[index as usize];
        self.by_key.remove(&site.key);
        *site = Site::new(0, Arc::default(), 0, 0.0);
        self.vacant.push(index);
    }

    /// Moves what was counted for one site to another.
    pub fn merge(&mut self, from: u32, to: u32) {
        if from == to || from == OTHER {
            return;
        }
        let moved = std::mem::replace(&mut self.sites[from as usize], Site::new(0, Arc::default(), 0, 0.0));
        self.by_key.remove(&moved.key);
        self.vacant.push(from);
        let site = &mut self.sites[to as usize];
        for (cell, add) in site.cells.iter_mut().zip(&moved.cells) {
            cell.add(*add);
        }
        moved.scopes.iter().for_each(|(scope, bytes)| site.scope(*scope, *bytes));
        if site.sum.usage().samples == 0 {
            site.history = moved.history;
        }
        site.sum.add(&moved.sum);
        site.active_s = site.active_s.max(moved.active_s);
    }

    pub fn born(&mut self, site: u32, birth: Birth) {
        let cell = self.ages.index(birth.born_s);
        let site = &mut self.sites[site as usize];
        site.sum.born(birth.weight);
        site.active_s = birth.born_s;
        site.scope(birth.scope, birth.weight.bytes);
        let cell = &mut site.cells[cell];
        cell.allocated_bytes += birth.weight.bytes as f32;
        cell.samples += 1;
        cell.lives(birth.weight);
    }

    pub fn died(&mut self, site: u32, birth: Birth, now_s: f64) {
        let cell = self.ages.index(birth.born_s);
        let site = &mut self.sites[site as usize];
        site.sum.died(birth.weight);
        site.active_s = now_s;
        site.scope(birth.scope, -birth.weight.bytes);
        site.cells[cell].died(birth.weight);
    }

    /// A sample that stays, with another weight than before (thinning).
    pub fn reweighed(&mut self, site: u32, birth: Birth, weight: Weight) {
        let cell = self.ages.index(birth.born_s);
        let site = &mut self.sites[site as usize];
        site.sum.died(birth.weight);
        site.sum.lives(weight);
        site.scope(birth.scope, weight.bytes - birth.weight.bytes);
        site.cells[cell].died(birth.weight);
        site.cells[cell].lives(weight);
    }

    /// Ends a tick: a point for each site that has something to show, then maybe a new stretch of births.
    pub fn tick(&mut self, now_s: f64) {
        for site in &mut self.sites {
            let u = site.sum.usage();
            let silent = u.live_samples == 0 && site.history.points().last().is_none_or(|p| p.live_bytes == 0.0);
            if silent {
                continue;
            }
            let aged = LADDER_S.map(|age| site.live_at_least(&self.ages, now_s, age) as f32);
            site.history.push(Point {
                time_s: now_s,
                live_bytes: u.live_bytes.value.max(0.0),
                allocated_bytes: u.allocated_bytes,
                live_variance: u.live_bytes.variance.max(0.0) as f32,
                aged,
            });
        }
        let step = self.ages.step(now_s);
        self.sites.iter_mut().for_each(|site| site.follow(&step));
    }

    pub fn get(&self, index: u32) -> &Site {
        &self.sites[index as usize]
    }

    pub fn get_mut(&mut self, index: u32) -> &mut Site {
        &mut self.sites[index as usize]
    }

    /// Sites in use, [`OTHER`] too if it has anything.
    pub fn in_use(&self) -> impl Iterator<Item = (u32, &Site)> {
        let used = |(i, s): &(u32, &Site)| s.usage().samples > 0 || (*i != OTHER && s.key != 0);
        (0u32..).zip(&self.sites).filter(used)
    }

    /// The site's history as others see it.
    pub fn history(&self, site: &Site, now_s: f64) -> SiteHistory {
        let points = site.history.points();
        let column = |f: fn(&Point) -> f64| points.iter().map(f).collect::<Vec<f64>>();
        let lived = points.last().zip(points.first()).map_or(0.0, |(last, first)| last.time_s - first.time_s);
        let aged = LADDER_S.iter().enumerate().take_while(|(_, age)| **age <= lived).map(|(i, age)| AgedSeries {
            min_age_s: *age,
            live_bytes: points.iter().map(|p| f64::from(p.aged[i])).collect(),
        });
        SiteHistory {
            times_s: column(|p| p.time_s),
            live_bytes: column(|p| p.live_bytes),
            live_variance: column(|p| f64::from(p.live_variance)),
            allocated_bytes: column(|p| p.allocated_bytes),
            aged: aged.collect(),
            cohorts: (0..site.cells.len()).map(|i| site.cells[i].cohort(self.ages.bounds(i, now_s))).collect(),
        }
    }

    /// Heap bytes, nearly.
    pub fn bytes(&self) -> usize {
        let of = |s: &Site| size_of::<Site>() + s.cells.capacity() * size_of::<Cell>() + s.history.bytes();
        self.sites.iter().map(of).sum::<usize>() + self.by_key.capacity() * 16
    }
}

impl Site {
    fn follow(&mut self, step: &Step) {
        if self.cells.is_empty() {
            return;
        }
        if step.opened {
            self.cells.push(Cell::default());
        }
        for at in &step.merged {
            let gone = self.cells.remove(at + 1);
            self.cells[*at].add(gone);
        }
    }
}

impl Cell {
    fn lives(&mut self, w: Weight) {
        self.live_bytes += w.bytes as f32;
        self.live_samples += 1;
    }

    fn died(&mut self, w: Weight) {
        self.live_samples = self.live_samples.saturating_sub(1);
        // Exactly nothing when the last one goes, whatever was rounded on the way.
        self.live_bytes = if self.live_samples == 0 { 0.0 } else { (self.live_bytes - w.bytes as f32).max(0.0) };
    }

    fn add(&mut self, other: Cell) {
        self.allocated_bytes += other.allocated_bytes;
        self.live_bytes += other.live_bytes;
        self.samples += other.samples;
        self.live_samples += other.live_samples;
    }

    fn cohort(&self, (born_from_s, born_to_s): (f64, f64)) -> Cohort {
        Cohort {
            born_from_s,
            born_to_s,
            allocated_bytes: f64::from(self.allocated_bytes),
            live_bytes: f64::from(self.live_bytes),
            samples: self.samples,
            live_samples: self.live_samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn birth(born_s: f64) -> Birth {
        Birth { born_s, weight: Weight::of(100, 1000), scope: 3 }
    }

    #[test]
    fn what_stays_shows_among_the_old_and_what_passes_does_not() {
        let mut t = SiteTable::new(10, 0.0, 1.0);
        let leak = t.of_key(1, Arc::default, 0.0);
        let churn = t.of_key(2, Arc::default, 0.0);
        for second in 0..60 {
            let now = second as f64;
            t.born(leak, birth(now));
            t.born(churn, birth(now));
            if second > 0 {
                t.died(churn, birth(now - 1.0), now);
            }
            t.tick(now + 1.0);
        }
        let (leak, churn) = (t.history(t.get(leak), 60.0), t.history(t.get(churn), 60.0));
        let last =
            |h: &SiteHistory, age: f64| *h.aged.iter().find(|a| a.min_age_s == age).unwrap().live_bytes.last().unwrap();
        let unit = birth(0.0).weight.bytes;
        let old = last(&leak, 30.0) / unit;
        assert!((29.0..=31.0).contains(&old), "{old}");
        assert_eq!(last(&churn, 5.0), 0.0);
        let live: u32 = leak.cohorts.iter().map(|c| c.live_samples).sum();
        assert_eq!(live, 60);
        assert_eq!(churn.cohorts.iter().map(|c| c.samples).sum::<u32>(), 60);
    }

    #[test]
    fn a_site_that_gets_its_name_keeps_what_was_counted() {
        let mut t = SiteTable::new(10, 0.0, 1.0);
        let raw = t.of_key(7, Arc::default, 0.0);
        t.born(raw, birth(0.0));
        t.tick(1.0);
        let named = t.of_key(8, Arc::default, 1.0);
        t.merge(raw, named);
        assert_eq!(t.get(named).usage().live_samples, 1);
        assert_eq!(t.get(named).main_scope(), 3);
        assert_eq!(t.history(t.get(named), 2.0).times_s, [1.0]);
        assert_eq!(t.of_key(9, Arc::default, 2.0), raw, "its place is free again");
    }

    #[test]
    fn at_the_bound_idle_sites_go_and_live_ones_stay() {
        let mut t = SiteTable::new(4, 0.0, 1.0);
        let sites: Vec<u32> = (1..=3).map(|key| t.of_key(key, Arc::default, 0.0)).collect();
        t.born(sites[0], birth(0.0));
        assert_eq!(t.of_key(4, Arc::default, 0.0), OTHER);
        let gone = t.evict();
        assert_eq!(gone.len(), 1);
        assert_ne!(gone[0], sites[0]);
        assert_ne!(t.of_key(4, Arc::default, 0.0), OTHER);
    }
}
