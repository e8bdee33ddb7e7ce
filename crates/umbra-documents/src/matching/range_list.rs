//! Parts of files, as lists of offsets and lengths.

use crate::{PartialFile, text_to_path};
use std::{fmt, path::PathBuf, str::FromStr};

/// The most ranges in one list.
const MAX_RANGES: usize = 1 << 20;
/// The largest offset that a file of Linux has.
const MAX_OFFSET: u64 = i64::MAX as u64;
/// How a list in a document says that the ranges are in a file.
const FILE_PREFIX: &str = "File=";

/// Some bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// Where they begin, in bytes from the start of the file.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
}

impl ByteRange {
    /// Where they end, in bytes from the start of the file.
    pub fn end(self) -> u64 {
        // Checked when the range was read.
        self.offset.saturating_add(self.length)
    }
}

/// What is wrong with a list of ranges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeListError {
    /// A pair that is not two numbers with a colon between them.
    #[error(
        "range {number} is {text:?}: it must be offset:length, both decimal, or hexadecimal \
         with 0x before"
    )]
    NoRange {
        /// Which one, counted from 1.
        number: usize,
        /// What is there, shortened.
        text: String,
    },
    /// A range that no file can have.
    #[error("range {number}, {offset}:{length}, ends behind the largest offset of a file")]
    TooFar {
        /// Which one, counted from 1.
        number: usize,
        /// Its offset.
        offset: u64,
        /// Its length.
        length: u64,
    },
    /// More ranges than one list may have.
    #[error("there are more than 1048576 ranges")]
    TooMany,
    /// A ranges file that is shorter or longer than its first number says.
    #[error(
        "the ranges file has {bytes} bytes: it must have 8 bytes for the number of ranges and \
         16 for each, and says that it has {ranges} ranges"
    )]
    WrongSize {
        /// How long it is.
        bytes: usize,
        /// How many ranges it says it has.
        ranges: u64,
    },
    /// Two lists that are not range for range as long as each other.
    #[error(
        "{from} ranges of the source do not go into {to} ranges of the destination: there must \
         be as many, each as long"
    )]
    NoPairs {
        /// How many the source has.
        from: usize,
        /// How many the destination has.
        to: usize,
    },
    /// A partial file with neither ranges nor a ranges file.
    #[error("there are neither ranges nor a ranges file")]
    Missing,
}

/// Parts of a file ("Working with Partial Files"): `offset:length,offset:length`,
/// in bytes, decimal or hexadecimal with `0x` before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RangeList(Vec<ByteRange>);

impl RangeList {
    /// The ranges, in the order of the list.
    pub fn ranges(&self) -> &[ByteRange] {
        &self.0
    }

    /// How many bytes they are together.
    pub fn length(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum: u64, range| sum.saturating_add(range.length))
    }

    /// Reads the content of a ranges file: 64-bit numbers, the lowest byte first;
    /// the first is the number of ranges, then offset and length of each.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn from_file_content(content: &[u8]) -> Result<Self, RangeListError> {
        let (numbers, rest) = content.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let said = numbers.next().unwrap_or_default();
        let wrong = RangeListError::WrongSize {
            bytes: content.len(),
            ranges: said,
        };
        if content.len() < 8 || !rest.is_empty() {
            return Err(wrong);
        }
        if said > MAX_RANGES as u64 {
            return Err(RangeListError::TooMany);
        }
        let numbers: Vec<u64> = numbers.collect();
        let (pairs, rest) = numbers.as_chunks::<2>();
        if pairs.len() as u64 != said || !rest.is_empty() {
            return Err(wrong);
        }
        let ranges = pairs.iter().enumerate();
        ranges
            .map(|(index, [offset, length])| range(index, *offset, *length))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The longest content that a ranges file can have, in bytes.
    pub const fn max_file_content() -> usize {
        8 + 16 * MAX_RANGES
    }

    /// The content of a ranges file with these ranges.
    pub fn to_file_content(&self) -> Vec<u8> {
        let count = (self.0.len() as u64).to_le_bytes();
        let ranges = self.0.iter().flat_map(|range| {
            let numbers = [range.offset.to_le_bytes(), range.length.to_le_bytes()];
            numbers.into_iter().flatten()
        });
        count.into_iter().chain(ranges).collect()
    }

    /// Each range with the one that it goes to ("Working with Directed Targets").
    ///
    /// # Errors
    ///
    /// Where the two lists are not as long as each other, range for range.
    pub fn paired_with<'a>(
        &'a self,
        destination: &'a Self,
    ) -> Result<impl Iterator<Item = (ByteRange, ByteRange)> + use<'a>, RangeListError> {
        let pairs = self.0.iter().copied().zip(destination.0.iter().copied());
        let same = self.0.len() == destination.0.len();
        if same && pairs.clone().all(|(from, to)| from.length == to.length) {
            Ok(pairs)
        } else {
            Err(RangeListError::NoPairs {
                from: self.0.len(),
                to: destination.0.len(),
            })
        }
    }
}

impl FromIterator<ByteRange> for RangeList {
    fn from_iter<I: IntoIterator<Item = ByteRange>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

impl FromStr for RangeList {
    type Err = RangeListError;

    fn from_str(text: &str) -> Result<Self, RangeListError> {
        if text.bytes().filter(|byte| *byte == b',').count() >= MAX_RANGES {
            return Err(RangeListError::TooMany);
        }
        let ranges = text.split(',').enumerate().map(|(index, pair)| {
            let numbers = pair.split_once(':');
            let numbers = numbers.and_then(|(offset, length)| {
                Some((number(offset.trim())?, number(length.trim())?))
            });
            match numbers {
                Some((offset, length)) => range(index, offset, length),
                None => Err(RangeListError::NoRange {
                    number: index + 1,
                    text: pair.chars().take(40).collect(),
                }),
            }
        });
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for RangeList {
    /// Decimal, without blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", range.offset, range.length)?;
        }
        Ok(())
    }
}

fn range(index: usize, offset: u64, length: u64) -> Result<ByteRange, RangeListError> {
    match offset.checked_add(length) {
        Some(end) if end <= MAX_OFFSET => Ok(ByteRange { offset, length }),
        _ => Err(RangeListError::TooFar {
            number: index + 1,
            offset,
            length,
        }),
    }
}

/// Digits only: what Rust allows besides, a sign before them, is none.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let plain = digits.chars().all(|digit| digit.is_digit(radix));
    plain.then(|| u64::from_str_radix(digits, radix).ok())?
}

/// Where the ranges of a partial file are (`IVssComponent::GetPartialFile`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartialRanges {
    /// Here.
    List(RangeList),
    /// In a ranges file, which must be in the backup too.
    File(PathBuf),
}

impl PartialFile {
    /// The whole path of the file.
    pub fn full_path(&self) -> PathBuf {
        text_to_path(&self.path).join(text_to_path(&self.name))
    }

    /// Where its ranges are. A ranges file counts where both are said; the ranges
    /// may name it, as `File=` and the path ("Requester Role in Backing Up Complex
    /// Stores").
    ///
    /// # Errors
    ///
    /// What is wrong with the list.
    pub fn partial_ranges(&self) -> Result<PartialRanges, RangeListError> {
        let file = self.ranges_file.as_deref().filter(|path| !path.is_empty());
        let ranges = self.ranges.as_deref().map(str::trim);
        let named = ranges
            .and_then(|text| text.split_at_checked(FILE_PREFIX.len()))
            .filter(|(prefix, _)| prefix.eq_ignore_ascii_case(FILE_PREFIX))
            .map(|(_, path)| path.trim());
        match (file.or(named), ranges) {
            (Some(path), _) => Ok(PartialRanges::File(text_to_path(path))),
            (None, Some(text)) => text.parse().map(PartialRanges::List),
            (None, None) => Err(RangeListError::Missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(ranges: &[(u64, u64)]) -> RangeList {
        let ranges = ranges.iter();
        ranges
            .map(|(offset, length)| ByteRange {
                offset: *offset,
                length: *length,
            })
            .collect()
    }

    /// The lists of "Working with Partial Files" and "Requester Role in Backing Up
    /// Complex Stores".
    #[test]
    fn ranges_are_read_as_the_pages_write_them() {
        let check = |text: &str, ranges: &[(u64, u64)]| {
            assert_eq!(text.parse(), Ok(list(ranges)), "{text}");
        };
        check(
            "64:448,0x1239E8577A:65536",
            &[(64, 448), (0x12_39E8_577A, 65536)],
        );
        check("0:5,100:20", &[(0, 5), (100, 20)]);
        check("0:1, 2:3", &[(0, 1), (2, 3)]);
        check("0X0a:0xFF", &[(10, 255)]);
        check("9223372036854775807:0", &[(MAX_OFFSET, 0)]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<RangeList>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "range 1 is \"\"");
        check("0:5,", "range 2 is \"\"");
        check("0:5;7:1", "range 1");
        check("-1:5", "range 1");
        check("+1:5", "range 1");
        check("0x:5", "range 1");
        check("a:5", "range 1");
        check("1:2:3", "range 1");
        check("18446744073709551616:1", "range 1");
        check("0:1,0xffffffffffffffff:2", "range 2");
        check("9223372036854775807:1", "ends behind");
        check(&"0:0,".repeat(MAX_RANGES), "more than 1048576");
    }

    #[test]
    fn a_ranges_file_has_a_count_and_pairs() {
        let ranges = list(&[(64, 448), (1 << 40, 3)]);
        let content = ranges.to_file_content();
        assert_eq!(content.len(), 8 + 2 * 16);
        assert_eq!(RangeList::from_file_content(&content), Ok(ranges));
        assert_eq!(
            RangeList::from_file_content(&[0; 8]),
            Ok(RangeList::default())
        );
        let wrong = |content: &[u8]| RangeList::from_file_content(content).unwrap_err();
        assert!(matches!(wrong(&[]), RangeListError::WrongSize { .. }));
        assert!(matches!(
            wrong(&content[..39]),
            RangeListError::WrongSize { .. }
        ));
        assert!(matches!(
            wrong(&content[..24]),
            RangeListError::WrongSize { ranges: 2, .. }
        ));
        assert_eq!(wrong(&[0xff; 8]), RangeListError::TooMany);
        let far = list(&[(u64::MAX, 1)]).to_file_content();
        assert!(matches!(
            wrong(&far),
            RangeListError::TooFar { number: 1, .. }
        ));
    }

    /// "Working with Directed Targets": a source and a destination list of the same
    /// lengths.
    #[test]
    fn directed_ranges_go_in_pairs() {
        let from: RangeList = "64:448,0x1239E8577A:65536".parse().unwrap();
        let to: RangeList = "0:448,448:65536".parse().unwrap();
        let pairs: Vec<_> = from.paired_with(&to).unwrap().collect();
        assert_eq!(
            (pairs[1].0.offset, pairs[1].1.offset),
            (0x12_39E8_577A, 448)
        );
        for other in ["0:448", "0:448,448:1"] {
            let other: RangeList = other.parse().unwrap();
            assert!(from.paired_with(&other).is_err());
        }
    }

    #[test]
    fn a_partial_file_names_ranges_or_their_file() {
        let check = |ranges: Option<&str>, file: Option<&str>, expected: Option<&str>| {
            let partial = PartialFile {
                path: "/srv".into(),
                name: "data".into(),
                ranges: ranges.map(Into::into),
                ranges_file: file.map(Into::into),
                metadata: None,
                extra: crate::Extra::default(),
            };
            assert_eq!(partial.full_path(), PathBuf::from("/srv/data"));
            match (partial.partial_ranges(), expected) {
                (Ok(PartialRanges::List(list)), None) => assert_eq!(list.length(), 2),
                (Ok(PartialRanges::File(path)), Some(file)) => {
                    assert_eq!(path, PathBuf::from(file));
                }
                (other, _) => panic!("{other:?}"),
            }
        };
        check(Some("0:2"), None, None);
        check(Some("0:2"), Some(""), None);
        check(Some("File= /srv/ranges"), None, Some("/srv/ranges"));
        check(None, Some("/srv/ranges"), Some("/srv/ranges"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            ranges in prop::collection::vec((0..=MAX_OFFSET / 2, 0..=MAX_OFFSET / 2), 1..20)
        ) {
            let ranges = list(&ranges);
            prop_assert_eq!(ranges.to_string().parse(), Ok(ranges.clone()));
            prop_assert_eq!(RangeList::from_file_content(&ranges.to_file_content()), Ok(ranges));
        }

        #[test]
        fn no_text_is_a_panic(text in "[0-9a-fx:, +-]{0,40}", bytes: Vec<u8>) {
            let _ = text.parse::<RangeList>();
            let _ = RangeList::from_file_content(&bytes);
        }
    }
}
