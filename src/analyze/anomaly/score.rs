//! From surprises to one score, and news from the continuation of news.

use serde::{Deserialize, Serialize};

use super::statistics::{CHANNELS, Channel};

/// Surprise at which a row is worth looking at: a value expected once in fifty blocks. Its score is 0.5.
pub(super) const NEWS: f64 = 1.7;
/// Surprise by which a row must exceed the last news to be news before the rest is over.
const MORE: f64 = 1.0;
/// Blocks that news rests.
const REST_BLOCKS: f64 = 2.0;

/// The largest surprise among channels, and where it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Strongest {
    pub(super) surprise: f64,
    pub(super) channel: Channel,
}

/// The strongest of the channels that `used` admits.
pub(super) fn strongest(surprises: &[f64; CHANNELS], used: impl Fn(Channel) -> bool) -> Strongest {
    let start = Strongest { surprise: 0.0, channel: Channel::Jump };
    Channel::ALL
        .into_iter()
        .zip(surprises)
        .filter(|(c, _)| used(*c))
        .fold(start, |best, (channel, s)| if *s > best.surprise { Strongest { surprise: *s, channel } } else { best })
}

/// Whether a channel raises alarms. All count for the score. The learned prediction and the season rank rows well, but a season that changes its
/// habits is not an incident: at the bar of an alarm they were wrong more often than right.
pub(super) fn alarms(channel: Channel) -> bool {
    !matches!(channel, Channel::Prediction | Channel::Season)
}

/// When there was news last, and how strong.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct News {
    last: Option<(f64, f64)>,
}

impl News {
    /// The score of a surprise: `s / (s + 1.7)`, halved where the row only continues what was news already, so that a score
    /// from 0.5 is a new event and the rows of one event stay ordered among themselves.
    pub(super) fn score(&mut self, surprise: f64, clock_s: f64, block_s: f64) -> f64 {
        let score = surprise / (surprise + NEWS);
        if self.is_news(surprise, clock_s, block_s) {
            self.last = Some((clock_s, surprise));
            return score;
        }
        0.5 * score
    }

    fn is_news(&self, surprise: f64, clock_s: f64, block_s: f64) -> bool {
        let rested = |(at, level): (f64, f64)| clock_s - at > REST_BLOCKS * block_s || surprise > level + MORE;
        surprise >= NEWS && self.last.is_none_or(rested)
    }
}
