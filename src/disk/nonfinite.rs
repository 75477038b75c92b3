//! Numbers in JSON that may be NaN or infinite.

/// Serde for an `f64` that may be NaN or infinite, which JSON numbers cannot be: those are the
/// strings "NaN", "inf" and "-inf".
pub(crate) mod float {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { out.serialize_f64(*value) } else { out.collect_str(value) }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Number(f64),
            Name(String),
        }
        match Value::deserialize(input)? {
            Value::Number(value) => Ok(value),
            Value::Name(name) => match name.as_str() {
                "NaN" => Ok(f64::NAN),
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                _ => Err(de::Error::custom(format!("`{name}` is no number"))),
            },
        }
    }
}

/// Serde for a list of such numbers.
pub(crate) mod floats {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(with = "super::float")] f64);

    pub(crate) fn serialize<S: Serializer>(values: &[f64], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(values.iter().map(|&v| Number(v)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Number>::deserialize(input)?.into_iter().map(|n| n.0).collect())
    }
}

/// Serde for such a number that may be missing.
pub(crate) mod optional_float {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(with = "super::float")] f64);

    pub(crate) fn serialize<S: Serializer>(value: &Option<f64>, out: S) -> Result<S::Ok, S::Error> {
        value.map(Number).serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Number>::deserialize(input)?.map(|n| n.0))
    }
}
