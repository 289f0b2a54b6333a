//! Puts what is written into a form beside its labels. Pages are drawn with all their labels first and the
//! values of the fields after them, and some values are not drawn at all.

use super::Fragment;
use super::table::Rule;

/// Distance, in ems, up to which a label is to the left of its field rather than above it.
const BESIDE: f64 = 12.0;
/// Height, in ems, of a field for one line.
const ONE_LINE: f64 = 2.5;
/// Distance, in ems, up to which a label is above its field.
const ABOVE: f64 = 1.5;

/// Moves what stands in each of `fields` behind its label; where nothing does, writes the field's value there.
/// Fields without a label are left as they are. Says of each field whether its value stands beside a label now.
pub fn fill_in(
    fragments: Vec<Fragment>,
    fields: &[(Rule, &str)],
    angle: i32,
) -> (Vec<Fragment>, Vec<bool>) {
    let in_field: Vec<Option<usize>> = fragments
        .iter()
        .map(|fragment| fields.iter().position(|(area, _)| holds(area, fragment)))
        .collect();
    let printed: Vec<(usize, &Fragment)> = fragments
        .iter()
        .enumerate()
        .filter(|(at, fragment)| in_field[*at].is_none() && fragment.angle == angle)
        .collect();
    let labels: Vec<Option<usize>> = fields
        .iter()
        .map(|(area, _)| {
            beside(area, &printed, BESIDE)
                .or_else(|| above(area, &printed))
                .or_else(|| beside(area, &printed, f64::MAX))
        })
        .collect();
    // Behind which fragment each one goes, and from where on the line.
    let mut placed: Vec<((usize, f64), Fragment)> = Vec::new();
    let mut written = vec![0; fields.len()];
    for (at, mut fragment) in fragments.iter().cloned().enumerate() {
        let label = in_field[at].and_then(|field| Some((field, labels[field]?)));
        let Some((field, label)) = label else {
            placed.push(((at, f64::MIN), fragment));
            continue;
        };
        let (area, label_line) = (&fields[field].0, fragments[label].baseline);
        let is_one_line = area.down.1 - area.down.0 < ONE_LINE * fragment.em;
        if is_one_line && is_level(area, label_line) {
            fragment.baseline = label_line;
        }
        written[field] += 1;
        placed.push(((label, fields[field].0.along.0), fragment));
    }
    for (field, (area, value)) in fields.iter().enumerate() {
        if let (0, Some(label)) = (written[field], labels[field]) {
            let fragment = value_in(area, value, &fragments[label]);
            placed.push(((label, area.along.0), fragment));
        }
    }
    // A stable sort: the lines of one field stay in their order.
    placed.sort_by(|((a, x), _), ((b, y), _)| a.cmp(b).then(x.total_cmp(y)));
    let fragments = placed.into_iter().map(|(_, fragment)| fragment);
    let labelled = labels.iter().map(Option::is_some);
    (fragments.collect(), labelled.collect())
}

/// Whether letters or digits stand in the field.
fn holds(area: &Rule, fragment: &Fragment) -> bool {
    // What is too long for its field is drawn beyond it, and cut off when shown.
    fragment.start >= area.along.0 - 0.5 * fragment.em
        && fragment.start < area.along.1
        && is_level(area, fragment.baseline - 0.3 * fragment.em)
        && fragment.text.contains(char::is_alphanumeric)
}

/// Whether a line at `height` goes through the field.
fn is_level(area: &Rule, height: f64) -> bool {
    (area.down.0..=area.down.1).contains(&height)
}

/// The nearest text to the left.
fn beside(area: &Rule, printed: &[(usize, &Fragment)], within: f64) -> Option<usize> {
    let left = printed.iter().filter(|(_, label)| {
        is_level(area, label.baseline - 0.3 * label.em)
            && label.start < area.along.0 - label.em
            && area.along.0 - label.end < within * label.em
    });
    left.max_by(|(_, a), (_, b)| a.end.total_cmp(&b.end))
        .map(|(at, _)| *at)
}

/// The nearest text right above.
fn above(area: &Rule, printed: &[(usize, &Fragment)]) -> Option<usize> {
    let over = printed.iter().filter(|(_, label)| {
        let gap = area.down.0 - label.baseline;
        (-0.3 * label.em..ABOVE * label.em).contains(&gap)
            && label.start < area.along.1
            && label.end > area.along.0
    });
    over.max_by(|(_, a), (_, b)| a.baseline.total_cmp(&b.baseline))
        .map(|(at, _)| *at)
}

/// The value as text in its field, on the label's line where that goes through it.
fn value_in(area: &Rule, value: &str, label: &Fragment) -> Fragment {
    let em = label.em;
    let width = 0.5 * em * value.chars().count() as f64;
    let middle = (area.down.0 + area.down.1) / 2.0 + 0.3 * em;
    Fragment {
        text: value.to_owned(),
        start: area.along.0,
        end: (area.along.0 + width).min(area.along.1),
        baseline: if is_level(area, label.baseline - 0.3 * em) {
            label.baseline
        } else {
            middle
        },
        em,
        angle: label.angle,
        first_word: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(start: f64, baseline: f64, text: &str) -> Fragment {
        Fragment {
            text: text.to_owned(),
            start,
            end: start + 5.0 * text.chars().count() as f64,
            baseline,
            em: 10.0,
            angle: 0,
            first_word: 0.0,
        }
    }

    fn area(x: f64, y: f64) -> Rule {
        Rule {
            along: (x, x + 100.0),
            down: (y - 12.0, y + 4.0),
        }
    }

    fn order(fragments: Vec<Fragment>, fields: &[(Rule, &str)]) -> Vec<String> {
        let (filled, _) = fill_in(fragments, fields, 0);
        filled.into_iter().map(|fragment| fragment.text).collect()
    }

    #[test]
    fn values_follow_the_labels_beside_them() {
        let drawn = vec![
            fragment(10.0, 100.0, "Vessel"),
            fragment(10.0, 140.0, "Owner"),
            fragment(10.0, 180.0, "Sign here"),
            fragment(82.0, 101.0, "Margaret"),
        ];
        let fields = [(area(80.0, 140.0), "Maru"), (area(80.0, 100.0), "Margaret")];
        assert_eq!(
            order(drawn, &fields),
            ["Vessel", "Margaret", "Owner", "Maru", "Sign here"]
        );
    }

    #[test]
    fn values_follow_the_labels_above_them() {
        let drawn = vec![
            fragment(10.0, 100.0, "Given name"),
            fragment(150.0, 100.0, "Family name"),
        ];
        let fields = [(area(10.0, 118.0), "Ada"), (area(150.0, 118.0), "Byron")];
        assert_eq!(
            order(drawn, &fields),
            ["Given name", "Ada", "Family name", "Byron"]
        );
    }

    #[test]
    fn without_a_label_all_stays() {
        let drawn = vec![fragment(82.0, 300.0, "Margaret")];
        assert_eq!(
            order(drawn, &[(area(80.0, 300.0), "Margaret")]),
            ["Margaret"]
        );
    }
}
