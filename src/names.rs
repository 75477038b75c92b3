//! `named_enum!`: enums whose values people write by name in a spec or on the command line.
//!
//! One table gives the variants, their names, printing, parsing with a suggestion for a misspelt
//! name, and serde through strings with the same message. A variant that a person can choose is
//! thereby impossible to forget in one of these places.

/// Defines an enum with a name for each variant:
///
/// ```ignore
/// named_enum! {
///     /// The update rule.
///     #[derive(Default)]
///     pub enum RuleName("optimizer") {
///         /// Stochastic gradient descent.
///         #[default]
///         Sgd = "sgd",
///         /// Kingma & Ba 2015.
///         Adam = "adam",
///     }
/// }
/// ```
///
/// gives `RuleName::{ALL, NAMES}`, `as_str`, `Display`, `FromStr` (an `Error::UnknownName` of an
/// "optimizer"), `Serialize`, `Deserialize`, and derives `Debug, Clone, Copy, PartialEq, Eq, Hash`.
macro_rules! named_enum {
    (
        $(#[$enum_meta:meta])*
        $vis:vis enum $Enum:ident($what:literal) {
            $( $(#[$variant_meta:meta])* $Variant:ident = $name:literal ),+ $(,)?
        }
    ) => {
        $(#[$enum_meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $Enum {
            $( $(#[$variant_meta])* $Variant, )+
        }

        #[allow(dead_code)] // not every enum needs its lists
        impl $Enum {
            /// All variants, in the order of their definition.
            $vis const ALL: &'static [$Enum] = &[$( $Enum::$Variant ),+];
            /// The variants' names, in the same order.
            $vis const NAMES: &'static [&'static str] = &[$( $name ),+];

            /// The name, as it is written in a spec.
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $( $Enum::$Variant => $name, )+
                }
            }
        }

        impl ::std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $Enum {
            type Err = $crate::error::Error;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    $( $name => Ok($Enum::$Variant), )+
                    _ => Err($crate::error::Error::unknown_name($what, name, $Enum::NAMES)),
                }
            }
        }

        impl ::serde::Serialize for $Enum {
            fn serialize<S: ::serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $Enum {
            fn deserialize<D: ::serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let name = <String as ::serde::Deserialize>::deserialize(input)?;
                name.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use named_enum;

#[cfg(test)]
mod tests {
    named_enum! {
        /// A fruit.
        #[derive(Default)]
        enum Fruit("fruit") {
            /// Red.
            #[default]
            Apple = "apple",
            /// Long.
            Banana = "banana",
        }
    }

    #[test]
    fn every_variant_survives_printing_and_parsing() {
        for (&fruit, &name) in Fruit::ALL.iter().zip(Fruit::NAMES) {
            assert_eq!(fruit.to_string(), name);
            assert_eq!(name.parse::<Fruit>().unwrap(), fruit);
            let json = serde_json::to_string(&fruit).unwrap();
            assert_eq!(serde_json::from_str::<Fruit>(&json).unwrap(), fruit);
        }
        assert_eq!(Fruit::default(), Fruit::Apple);
        assert_eq!(format!("{:>8}|", Fruit::Apple), "   apple|");
    }

    #[test]
    fn a_misspelt_name_gets_the_same_suggestion_from_parsing_and_from_serde() {
        let parsed = "bananna".parse::<Fruit>().unwrap_err().to_string();
        assert_eq!(parsed, "unknown fruit `bananna`; did you mean `banana`?; known: apple, banana");
        let read = serde_json::from_str::<Fruit>("\"bananna\"").unwrap_err().to_string();
        assert!(read.starts_with(&parsed), "{read}");
    }
}
