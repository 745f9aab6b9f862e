//! Where one is in the past of a run's pictures: follows the newest, scrubs, plays.

use std::collections::BTreeSet;

/// How fast the past is played, in pictures a second.
pub const SPEEDS: [(u8, &str); 4] = [(2, "2/s"), (5, "5/s"), (10, "10/s"), (20, "20/s")];

/// A place in the past of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineState {
    /// Steps done at the moment that is shown; the newest without.
    at: Option<u64>,
    playing: bool,
    /// Pictures a second.
    pub speed: u8,
    /// Seconds of the next picture that have passed.
    passed: f32,
}

impl Default for TimelineState {
    fn default() -> Self {
        Self { at: None, playing: false, speed: 5, passed: 0.0 }
    }
}

impl TimelineState {
    /// Whether the newest pictures show, also those that are still to come.
    pub fn follows(&self) -> bool {
        self.at.is_none()
    }

    /// Whether the past is being played.
    pub fn plays(&self) -> bool {
        self.playing
    }

    /// The moment that is shown, of those that there are.
    pub fn moment(&self, moments: &BTreeSet<u64>) -> Option<u64> {
        match self.at {
            // One that is gone gives way to the one before it.
            Some(at) => moments.range(..=at).next_back().or(moments.first()).copied(),
            None => moments.last().copied(),
        }
    }

    /// The place of the moment that is shown, counted from 0.
    pub fn place(&self, moments: &BTreeSet<u64>) -> usize {
        self.moment(moments).map_or(0, |moment| moments.range(..moment).count())
    }

    /// Goes to a place, counted from 0, and stays there.
    pub fn go(&mut self, place: usize, moments: &BTreeSet<u64>) {
        self.playing = false;
        self.at = moments.iter().nth(place).copied();
    }

    /// One moment on, or back. One on from the last follows the newest.
    pub fn step(&mut self, forwards: bool, moments: &BTreeSet<u64>) {
        self.playing = false;
        let Some(moment) = self.moment(moments) else { return };
        match forwards {
            true => self.at = moments.range(moment + 1..).next().copied(),
            false => self.at = moments.range(..moment).next_back().or(Some(&moment)).copied(),
        }
    }

    /// The first moment.
    pub fn first(&mut self, moments: &BTreeSet<u64>) {
        self.go(0, moments);
    }

    /// The newest, whatever comes.
    pub fn follow(&mut self) {
        (self.at, self.playing) = (None, false);
    }

    /// Plays from where one is, from the beginning at the end; or holds.
    pub fn toggle(&mut self, moments: &BTreeSet<u64>) {
        self.playing = !self.playing && moments.len() > 1;
        self.passed = 0.0;
        if self.playing && self.moment(moments) == moments.last().copied() {
            self.at = moments.first().copied();
        } else if self.at.is_none() {
            self.at = self.moment(moments);
        }
    }

    /// Time goes on. Playing ends at the newest picture and follows it. `ready` says whether the next picture is there:
    /// playing waits for it.
    pub fn pass(&mut self, seconds: f32, moments: &BTreeSet<u64>, ready: impl Fn(u64) -> bool) {
        if !self.playing {
            return;
        }
        self.passed += seconds.min(0.25);
        let each = 1.0 / f32::from(self.speed.max(1));
        let Some(moment) = self.moment(moments) else { return };
        if self.passed < each {
            return;
        }
        match moments.range(moment + 1..).next() {
            Some(next) if ready(*next) => (self.at, self.passed) = (Some(*next), self.passed % each),
            Some(_) => self.passed = each,
            None => self.follow(),
        }
    }

    /// The moments that will be seen next while it plays.
    pub fn ahead<'a>(&self, moments: &'a BTreeSet<u64>) -> impl Iterator<Item = u64> + 'a {
        let from = self.moment(moments).filter(|_| self.playing);
        from.into_iter().flat_map(|moment| moments.range(moment + 1..).take(3).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments() -> BTreeSet<u64> {
        [0, 20, 40, 60].into()
    }

    #[test]
    fn the_newest_is_followed_until_one_looks_back() {
        let (mut line, mut all) = (TimelineState::default(), moments());
        assert_eq!((line.moment(&all), line.place(&all)), (Some(60), 3));
        all.insert(80);
        assert_eq!(line.moment(&all), Some(80));
        line.step(false, &all);
        assert_eq!((line.moment(&all), line.follows()), (Some(60), false));
        all.insert(100);
        assert_eq!(line.moment(&all), Some(60), "a new one does not disturb");
        line.step(true, &all);
        line.step(true, &all);
        assert_eq!((line.moment(&all), line.follows()), (Some(100), false));
        line.step(true, &all);
        assert!(line.follows());
        line.first(&all);
        line.step(false, &all);
        assert_eq!(line.place(&all), 0);
        line.go(2, &all);
        assert_eq!(line.moment(&all), Some(40));
        // A run that goes on from an earlier checkpoint makes its pictures again.
        assert_eq!(line.moment(&[0, 20].into()), Some(20));
        assert_eq!(line.moment(&BTreeSet::new()), None);
    }

    #[test]
    fn playing_waits_for_pictures_and_ends_at_the_newest() {
        let (mut line, all) = (TimelineState::default(), moments());
        line.speed = 10;
        line.toggle(&all);
        assert_eq!((line.moment(&all), line.plays()), (Some(0), true));
        assert_eq!(line.ahead(&all).collect::<Vec<_>>(), [20, 40, 60]);
        line.pass(0.05, &all, |_| true);
        assert_eq!(line.moment(&all), Some(0));
        line.pass(0.06, &all, |_| false);
        assert_eq!(line.moment(&all), Some(0));
        for wanted in [20, 40, 60] {
            line.pass(0.1, &all, |_| true);
            assert_eq!(line.moment(&all), Some(wanted));
        }
        line.pass(0.1, &all, |_| true);
        assert!(line.follows() && !line.plays());
        line.toggle(&[7].into());
        assert!(!line.plays(), "one picture is no film");
    }
}
