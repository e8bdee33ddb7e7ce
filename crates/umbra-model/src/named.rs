//! The two shapes that numbers of VSS have: one of several values, each with a
//! name, and sets of flags.

macro_rules! named_values {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal, $value:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`.")] $variant,)*
        }

        impl $name {
            /// Every value, in the order of the reference headers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in the VSS reference.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value in the VSS headers.
            pub const fn value(self) -> u32 {
                match self { $(Self::$variant => $value,)* }
            }

            /// The value with this number.
            pub fn from_value(value: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.value() == value)
            }

            /// The value with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let name = String::deserialize(from)?;
                Self::from_name(&name).ok_or_else(|| {
                    serde::de::Error::custom(format!("{name:?} is no {}", stringify!($name)))
                })
            }
        }
    };
}

macro_rules! named_flags {
    ($(#[$doc:meta])* $name:ident { $($constant:ident = $text:literal, $bits:literal;)* }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u32);

        impl $name {
            $(#[doc = concat!("`", $text, "`.")] pub const $constant: Self = Self($bits);)*

            /// Every named flag or mask, in the order of the reference headers.
            pub const NAMED: &'static [(&'static str, Self)] = &[$(($text, Self::$constant),)*];

            /// The flags with these bits; bits without a name are kept.
            pub const fn from_bits(bits: u32) -> Self {
                Self(bits)
            }

            /// The bits.
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// Whether all of these flags are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// These flags and those.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The names of the single flags that are set, in the order of the
            /// reference headers.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::NAMED
                    .iter()
                    .filter(move |(_, flag)| flag.0.is_power_of_two() && self.contains(*flag))
                    .map(|(name, _)| *name)
            }
        }
    };
}
