//! From a figure of the metrics to a series of the report.

use super::{ReportAxisScale, ReportSeries};
use crate::train::figures::{self, FigureGroup};

impl ReportSeries {
    /// A series of the metrics, titled, grouped and explained as the table of figures says. A figure that is not in it goes
    /// to the health figures as it is.
    pub fn of_metric(metric: &str, points: Vec<(u64, f64)>) -> Self {
        let Some((chart, figure)) = figures::find(metric) else {
            return Self { name: metric.to_owned(), group: FigureGroup::Health, points, ..Self::default() };
        };
        let alone = chart.figures.len() == 1;
        let (name, shared) = if alone { (chart.title, "") } else { (figure.label, chart.title) };
        Self {
            name: name.to_owned(),
            chart: shared.to_owned(),
            group: chart.group,
            unit: chart.unit.to_owned(),
            note: chart.note.to_owned(),
            // Shares are compared with the whole, not with each other.
            scale: if chart.unit == "%" { ReportAxisScale::Linear } else { ReportAxisScale::Auto },
            points: points.into_iter().map(|(step, v)| (step, v * chart.factor)).collect(),
        }
    }
}
