//! The passages shown with an answer: each once, and what overlaps in one piece.

use crate::document::Hit;
use crate::text::one_line;

/// The best `k` of `hits`, best first. Copies of a passage that is shown already make room for the
/// next one, and overlapping chunks of a page become one passage.
pub fn context(hits: Vec<Hit>, k: usize) -> Vec<Hit> {
    let mut shown: Vec<Hit> = Vec::new();
    for hit in hits {
        let words = one_line(&hit.text);
        if shown.iter().any(|other| one_line(&other.text) == words) {
            continue;
        }
        match shown.iter().position(|other| overlaps(other, &hit)) {
            Some(index) => merge(&mut shown[index], &hit),
            None if shown.len() < k => shown.push(hit),
            None => {}
        }
    }
    shown
}

fn overlaps(a: &Hit, b: &Hit) -> bool {
    (&a.document_id, a.page_number) == (&b.document_id, b.page_number)
        && a.start <= b.end
        && b.start <= a.end
}

/// Makes `hit` reach over `other`, which it overlaps.
fn merge(hit: &mut Hit, other: &Hit) {
    let beyond = |first: &Hit, second: &Hit| -> String {
        let known = first.end.saturating_sub(second.start);
        let more: String = second.text.chars().skip(known).collect();
        format!("{}{more}", first.text)
    };
    if other.start < hit.start {
        hit.text = match other.end > hit.end {
            true => other.text.clone(),
            false => beyond(other, hit),
        };
    } else if other.end > hit.end {
        hit.text = beyond(hit, other);
    }
    hit.start = hit.start.min(other.start);
    hit.end = hit.end.max(other.end);
    let (document, page) = (&hit.document_id, hit.page_number);
    hit.id = format!("{document}:{page}:{}-{}", hit.start, hit.end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::DocumentId;

    const PAGE: &str = "가나다라마바사아자차카타파하";

    fn hit(document: &str, start: usize, end: usize) -> Hit {
        Hit {
            id: String::new(),
            document_id: DocumentId(document.into()),
            document: document.into(),
            title: None,
            page_number: 1,
            start,
            end,
            text: PAGE.chars().skip(start).take(end - start).collect(),
            score: 1.0,
            cosine: None,
        }
    }

    #[test]
    fn overlapping_chunks_become_one_passage_of_the_page() {
        for hits in [
            vec![hit("a", 0, 6), hit("a", 4, 10)],
            vec![hit("a", 4, 10), hit("a", 0, 6)],
            vec![hit("a", 4, 6), hit("a", 0, 10)],
            vec![hit("a", 0, 10), hit("a", 4, 6)],
        ] {
            let shown = context(hits, 3);
            assert_eq!(shown.len(), 1);
            assert_eq!((shown[0].start, shown[0].end), (0, 10));
            assert_eq!(shown[0].text, "가나다라마바사아자차");
            assert_eq!(shown[0].id, "a:1:0-10");
        }
    }

    #[test]
    fn copies_make_room_for_the_next() {
        let shown = context(vec![hit("a", 0, 4), hit("b", 0, 4), hit("c", 6, 9)], 2);
        let documents: Vec<&str> = shown.iter().map(|hit| hit.document.as_str()).collect();
        assert_eq!(documents, ["a", "c"]);
        assert_eq!(context(vec![hit("a", 0, 4), hit("b", 5, 9)], 1).len(), 1);
    }
}
