//! Many finished lines in one buffer, for a thread that makes lines and another that writes them: a
//! buffer a line would have both of them wait for the allocator.

use crate::Line;

/// Finished lines, one after another.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    /// Adds a line.
    pub fn push(&mut self, line: &Line) {
        self.text.extend_from_slice(line.open_bytes());
        self.text.extend_from_slice(b"}\n");
        self.ends.push(self.text.len());
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Removes all lines and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// The lines, each with its newline.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.text[start..*end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_whole_and_in_order() {
        let mut lines = Lines::default();
        for kind in ["a", "b"] {
            lines.push(&Line::new(kind));
        }
        let read: Vec<_> = lines.iter().map(String::from_utf8_lossy).collect();
        assert_eq!(read, ["{\"type\":\"a\"}\n", "{\"type\":\"b\"}\n"]);
        lines.clear();
        assert!(lines.is_empty() && lines.iter().next().is_none());
    }
}
