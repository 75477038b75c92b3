//! The answers of a network, image by image, as a file that a spreadsheet reads.

use std::fmt::Write as _;
use std::path::Path;

use crate::disk;
use crate::objective::Prediction;
use crate::{Error, Result};

/// The head of the file.
const HEAD: &str = "image,label,predicted,loss";

/// The most bytes of such a file that are read.
const MOST: u64 = 1 << 30;

/// Numbers that were predicted, with those that were to be.
#[derive(Debug)]
pub struct PredictedValues<'a> {
    /// The name of each number of an example, (outputs).
    pub names: &'a [String],
    /// What the network puts out, (n, outputs).
    pub outputs: &'a [f32],
    /// What was to be predicted, (n, outputs).
    pub values: &'a [f32],
    /// Mean and standard deviation of each number in its own units, (outputs), where both are given in units
    /// of that deviation from that mean; empty where they are given in their own.
    pub scales: &'a [[f64; 2]],
}

impl PredictedValues<'_> {
    /// The share of the variance of the values that is explained, 1 - (squared error) / (squared deviation
    /// from their mean), over all outputs (R squared); NaN where they do not vary.
    pub fn explained(&self) -> f64 {
        let k = self.names.len();
        let n = self.values.len() / k.max(1);
        let (mut errors, mut spread) = (0.0, 0.0);
        for column in 0..k {
            let of = |all: &[f32]| -> Vec<f64> {
                all.iter().skip(column).step_by(k).map(|v| f64::from(*v)).collect()
            };
            let (values, outputs) = (of(self.values), of(self.outputs));
            let mean = values.iter().sum::<f64>() / n as f64;
            errors += values.iter().zip(&outputs).map(|(y, z)| (y - z).powi(2)).sum::<f64>();
            spread += values.iter().map(|y| (y - mean).powi(2)).sum::<f64>();
        }
        if spread > 0.0 { 1.0 - errors / spread } else { f64::NAN }
    }

    /// The root of the mean squared error of each number, in its own units, (outputs).
    pub fn rmse(&self) -> Vec<f64> {
        let k = self.names.len();
        let of = |column: usize| {
            let pairs = self.values.iter().zip(self.outputs).skip(column).step_by(k);
            let (sum, n) = pairs.fold((0.0, 0), |(sum, n), (y, z)| {
                (sum + (f64::from(*y) - f64::from(*z)).powi(2), n + 1)
            });
            (sum / f64::from(n)).sqrt() * self.scales.get(column).map_or(1.0, |scale| scale[1])
        };
        (0..k).map(of).collect()
    }

    /// Writes them as CSV, in their own units: a line an example, in the order of the sample, with two columns
    /// for each number.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let k = self.names.len();
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let mut text = String::from("example");
        for name in self.names {
            text += &format!(",{},{}", quoted(name), quoted(&format!("{name} predicted")));
        }
        let rows = self.values.chunks_exact(k).zip(self.outputs.chunks_exact(k));
        for (i, (values, outputs)) in rows.enumerate() {
            text += &format!("\n{i}");
            for (column, (y, z)) in values.iter().zip(outputs).enumerate() {
                let [mean, sd] = self.scales.get(column).copied().unwrap_or([0.0, 1.0]);
                let own = |v: &f32| (f64::from(*v) * sd + mean) as f32;
                text += &format!(",{},{}", own(y), own(z));
            }
        }
        text.push('\n');
        disk::write_bytes(path, text.as_bytes())
    }
}

/// Writes `predictions` as CSV: a line an image, in the order of the sample; `predicted` is empty where the
/// network's output is NaN.
///
/// # Errors
/// [`Error::Io`].
pub fn write(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let mut text = format!("{HEAD}\n");
    for (i, p) in predictions.iter().enumerate() {
        let predicted = p.predicted.map_or(String::new(), |class| class.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{i},{},{predicted},{}", p.label, p.loss);
    }
    disk::write_bytes(path, text.as_bytes())
}

/// Whether each answer of such a file is right; `None` where there is no file.
///
/// # Errors
/// [`Error::BadFile`] for a file of another form.
pub fn read_right(path: &Path) -> Result<Option<Vec<bool>>> {
    if !disk::is_there(path)? {
        return Ok(None);
    }
    let bytes = disk::read(path, "read the predictions", MOST)?;
    let bad = |what: String| Error::BadFile {
        what,
        remedy: "make it again with `lossreel evaluate RUN --predictions FILE`".into(),
        path: path.to_path_buf(),
    };
    let text = String::from_utf8(bytes).map_err(|_| bad("is not text".into()))?;
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) || !text.ends_with('\n') {
        return Err(bad(format!("does not begin with {HEAD}, or is cut")));
    }
    let right = lines.enumerate().map(|(i, line)| {
        let fields: Vec<&str> = line.split(',').collect();
        match fields[..] {
            [image, label, predicted, _]
                if image == i.to_string() && label.parse::<u8>().is_ok() =>
            {
                Ok(label == predicted)
            }
            _ => Err(bad(format!("has `{line}` for image {i}"))),
        }
    });
    right.collect::<Result<_>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicted_numbers_are_written_in_their_own_units() {
        let names = ["price".to_string(), "say \"size\"".to_string()];
        let found = PredictedValues {
            names: &names,
            outputs: &[0.5, 1.0, -1.0, 2.0],
            values: &[1.0, 1.0, -1.0, 3.0],
            scales: &[[100.0, 10.0], [0.0, 1.0]],
        };
        // Squared errors 0.25, 0, 0, 1; the values deviate by 1 from their mean in both columns.
        assert_eq!(found.explained(), 1.0 - 1.25 / 4.0);
        let rmse = found.rmse();
        assert!((rmse[0] - 10.0 * 0.125f64.sqrt()).abs() < 1e-9, "{rmse:?}");
        assert!((rmse[1] - 0.5f64.sqrt()).abs() < 1e-12, "{rmse:?}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.csv");
        found.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let head = "example,\"price\",\"price predicted\",\"say \"\"size\"\"\",";
        assert!(text.starts_with(head), "{text}");
        assert!(text.ends_with("\n0,110,105,1,1\n1,90,90,3,2\n"), "{text}");
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        assert_eq!(read_right(&path).unwrap(), None);
        let of = |label, predicted| Prediction { label, predicted, loss: 0.5 };
        write(&path, &[of(1, Some(1)), of(2, Some(3)), of(4, None)]).unwrap();
        assert_eq!(read_right(&path).unwrap(), Some(vec![true, false, false]));
        let whole = std::fs::read_to_string(&path).unwrap();
        for cut in [&whole[..whole.len() - 1], &whole[5..], &whole.replace("2,4,", "7,4,")] {
            std::fs::write(&path, cut).unwrap();
            let error = read_right(&path).unwrap_err().to_string();
            assert!(error.contains("p.csv") && error.contains("--predictions"), "{error}");
        }
    }
}
