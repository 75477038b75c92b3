//! A table of text: one row an example, one column the label, the others numbers. Commas, semicolons or
//! tabs divide it, and a first line of names is told from numbers by itself.

use std::path::{Path, PathBuf};

use super::super::images::LabelledImages;
use super::super::targets::Targets;
use super::super::tree::Tree;
use super::quantise::{Values, to_bytes};
use super::{LabelColumn, OwnData, Read, TargetKind};
use crate::disk;
use crate::error::{Error, Result};
use crate::memory;

/// Columns named like this have the labels, where nothing else is asked for.
const LABEL_NAMES: [&str; 6] = ["label", "labels", "class", "target", "y", "species"];
/// Columns named like this are left out where they count the rows.
const COUNTING_NAMES: [&str; 4] = ["", "unnamed: 0", "id", "index"];
/// Columns at most: an image of 3x1024x1024.
const MOST_COLUMNS: usize = 1 << 22;

/// A file's cells, row by row.
struct Cells {
    path: PathBuf,
    names: Option<Vec<String>>,
    rows: Vec<Vec<String>>,
}

impl Cells {
    fn bad(&self, what: String, remedy: &str) -> Error {
        Error::BadFile { what, remedy: remedy.into(), path: self.path.clone() }
    }

    fn width(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    /// What column `at` is called, for messages.
    fn called(&self, at: usize) -> String {
        match self.names.as_ref().and_then(|names| names.get(at)) {
            Some(name) => format!("`{name}`"),
            None => format!("{at}"),
        }
    }

    /// The line of a row in the file, from 1.
    fn line(&self, row: usize) -> usize {
        row + 1 + usize::from(self.names.is_some())
    }

    fn all(&self, column: usize, is: impl Fn(usize, &str) -> bool) -> bool {
        self.rows.iter().enumerate().all(|(row, cells)| is(row, &cells[column]))
    }

    /// Whether a column counts the rows, from 0 or from 1.
    fn counts(&self, column: usize) -> bool {
        let from = |first: usize| self.all(column, |row, cell| cell.parse() == Ok(row + first));
        from(0) || from(1)
    }
}

/// Reads the table at `dir`, a file or a folder with one or with `train` and `test`.
pub(super) fn read(dir: &Path, own: &OwnData) -> Result<Read> {
    let (train, test) = files(dir)?;
    let train = cells(&train)?;
    let test = test.map(|path| cells(&path)).transpose()?;
    let answers = match own.target_columns.as_slice() {
        [] => vec![label_column(&train, own.label_column.as_ref(), own.targets)?],
        given => given
            .iter()
            .map(|column| label_column(&train, Some(column), own.targets))
            .collect::<Result<Vec<usize>>>()?,
    };
    if let Some(test) = &test
        && (test.width() != train.width() || test.names != train.names)
    {
        return Err(test.bad(
            format!(
                "it has other columns ({}) than the training table ({})",
                test.width(),
                train.width()
            ),
            "give both tables the same columns, or name the training table alone",
        ));
    }
    let counting = |column: usize| {
        let name = train.names.as_ref().and_then(|names| names.get(column));
        name.is_some_and(|name| COUNTING_NAMES.contains(&name.to_lowercase().as_str()))
            && train.counts(column)
    };
    let columns: Vec<usize> = (0..train.width())
        .filter(|column| !answers.contains(column) && !counting(*column))
        .collect();
    if columns.is_empty() {
        return Err(train.bad(
            "it has no column beside the label".into(),
            "add columns of numbers, or divide them with commas",
        ));
    }
    let shape = own.shape.unwrap_or([columns.len(), 1, 1]);
    if memory::product(&shape) != Some(columns.len() as u64) {
        return Err(Error::bad_value(
            "data.shape",
            format!("{shape:?}"),
            format!("but a row has {} numbers beside its label", columns.len()),
            "give the channels, height and width whose product that is",
        ));
    }
    let classes = match own.targets {
        TargetKind::Classes => classes(&train, answers[0]),
        TargetKind::Values => answers
            .iter()
            .map(|&column| match &train.names {
                Some(names) => names[column].clone(),
                None => format!("column {column}"),
            })
            .collect(),
    };
    let mut splits = Vec::new();
    for table in [Some(&train), test.as_ref()].into_iter().flatten() {
        let targets = match own.targets {
            TargetKind::Classes => (labels(table, answers[0], &classes)?, Targets::Labels),
            TargetKind::Values => {
                let values = numbers(table, &answers)?;
                if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                    return Err(table.bad(
                        format!(
                            "line {} has a number to be predicted that is NaN or infinite",
                            table.line(at / answers.len())
                        ),
                        "leave such rows out, or replace the values",
                    ));
                }
                (vec![0; table.rows.len()], Targets::Values { values, outputs: answers.len() })
            }
        };
        splits.push((Values::Numbers(numbers(table, &columns)?), targets));
    }
    let (values, labels): (Vec<Values>, Vec<_>) = splits.into_iter().unzip();
    let tables = [Some(&train), test.as_ref()];
    let bytes = to_bytes(values, shape[0], shape[1] * shape[2]).map_err(|(which, row)| {
        let table = tables[which].unwrap_or(&train);
        table.bad(
            format!("line {} has a value that is NaN or infinite", table.line(row)),
            "leave such rows out, or replace the values",
        )
    })?;
    let mut splits = bytes
        .into_iter()
        .zip(labels)
        .map(|(bytes, (labels, of))| LabelledImages::new(bytes, labels, shape)?.with_targets(of));
    let first = splits.next().transpose()?;
    let second = splits.next().transpose()?;
    let first = first.ok_or_else(|| train.bad("it has no rows".into(), "add some"))?;
    Ok(Read { train: first, test: second, classes })
}

/// The table to train on and the one to test on.
fn files(dir: &Path) -> Result<(PathBuf, Option<PathBuf>)> {
    let tree = Tree::below(dir)?;
    let is_table = |path: &&PathBuf| {
        let end = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        matches!(end.as_str(), "csv" | "tsv" | "txt" | "data") || tree.files().len() == 1
    };
    let tables: Vec<&PathBuf> = tree.files().iter().filter(is_table).collect();
    let named = |words: &[&str]| -> Vec<&PathBuf> {
        let name =
            |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        tables.iter().filter(|t| words.iter().any(|word| name(t).contains(word))).copied().collect()
    };
    let bad = |what: &str| Error::BadFile {
        what: what.into(),
        remedy: format!("name {}", super::wanted(super::DataSet::Csv)),
        path: dir.to_path_buf(),
    };
    match (named(&["train"]).as_slice(), named(&["test", "val"]).as_slice(), tables.as_slice()) {
        (_, _, []) => Err(bad("there is no .csv file")),
        (_, _, [only]) => Ok(((*only).clone(), None)),
        ([train], [test], _) if train != test => Ok(((*train).clone(), Some((*test).clone()))),
        ([train], [], _) => Ok(((*train).clone(), None)),
        _ => Err(bad("there are several tables, and their names do not say which is for training")),
    }
}

/// Reads the cells of a file, at most as many as fit into the memory.
fn cells(path: &Path) -> Result<Cells> {
    let bytes = disk::read(path, "read a table", memory::most_bytes() / 8)?;
    let bad = |what: String| Error::BadFile {
        what,
        remedy: "write it as UTF-8 text with one row a line and the same columns in each".into(),
        path: path.to_path_buf(),
    };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter(text))
        .trim(csv::Trim::All)
        .from_reader(text);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| bad(format!("the table cannot be read: {e}")))?;
        if record.len() > MOST_COLUMNS {
            return Err(bad(format!("the table has {} columns", record.len())));
        }
        rows.push(record.iter().map(str::to_string).collect());
    }
    let is_number = |cell: &String| cell.parse::<f64>().is_ok();
    // A line of names has text where the next line has a number.
    let has_names = match rows.as_slice() {
        [first, second, ..] => first.iter().zip(second).any(|(a, b)| !is_number(a) && is_number(b)),
        _ => false,
    };
    let names = has_names.then(|| rows.remove(0));
    if rows.is_empty() {
        return Err(bad("the table has no rows".into()));
    }
    Ok(Cells { path: path.to_path_buf(), names, rows })
}

/// What divides the cells of the first line: of comma, semicolon and tab the one it has most of.
fn delimiter(text: &[u8]) -> u8 {
    let line = text.split(|&b| b == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| line.iter().filter(|&&b| b == wanted).count();
    // The last of equals is taken: a comma.
    [b'\t', b';', b','].into_iter().max_by_key(|&b| count(b)).unwrap_or(b',')
}

/// The place of the column that `wanted` names, or of the one that is meant where nothing is named.
fn label_column(table: &Cells, wanted: Option<&LabelColumn>, targets: TargetKind) -> Result<usize> {
    let width = table.width();
    let by_name = |wanted: &str| {
        let names = table.names.as_ref()?;
        names.iter().position(|name| name.eq_ignore_ascii_case(wanted))
    };
    let refuse = |value: String, problem: String| {
        let names = table.names.as_ref().map(|names| format!(": {}", names.join(", ")));
        let names = names.filter(|names| names.len() < 400).unwrap_or_default();
        Error::bad_value(
            "data.label_column",
            value,
            problem,
            format!("use 0 to {} (-1 is the last) or a name of the first line{names}", width - 1),
        )
    };
    match wanted {
        Some(LabelColumn::Place(place)) => {
            let from_end = if *place < 0 { width as i64 } else { 0 };
            let column = usize::try_from(place.saturating_add(from_end)).ok();
            column.filter(|&column| column < width).ok_or_else(|| {
                refuse(place.to_string(), format!("but the table has {width} columns"))
            })
        }
        Some(LabelColumn::Name(name)) => {
            by_name(name).ok_or_else(|| refuse(name.clone(), "but no column is called that".into()))
        }
        None => {
            let named = LABEL_NAMES.iter().find_map(|name| by_name(name));
            let mut texts = (0..width)
                .filter(|&column| !table.all(column, |_, cell| cell.parse::<f64>().is_ok()));
            let only_text = texts.next().filter(|_| texts.next().is_none());
            let only_text = only_text.filter(|_| targets == TargetKind::Classes);
            named.or(only_text).ok_or_else(|| {
                table.bad(
                    "nothing says which column has the labels".into(),
                    "name it with data.label_column: its name, or its place (0 is the first, -1 the last)",
                )
            })
        }
    }
}

/// The labels that occur, sorted as numbers where they are, as text otherwise.
fn classes(table: &Cells, label: usize) -> Vec<String> {
    let mut classes: Vec<String> = table.rows.iter().map(|row| row[label].clone()).collect();
    classes.sort();
    classes.dedup();
    if classes.iter().all(|class| class.parse::<f64>().is_ok()) {
        let number = |class: &String| class.parse::<f64>().unwrap_or(f64::NAN);
        classes.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    classes
}

fn labels(table: &Cells, label: usize, classes: &[String]) -> Result<Vec<u8>> {
    let find = |(row, cells): (usize, &Vec<String>)| {
        let class = classes.iter().position(|class| *class == cells[label]);
        match class.map(u8::try_from) {
            Some(Ok(class)) => Ok(class),
            Some(Err(_)) => Err(table.bad(
                format!(
                    "the labels in column {} have {} values",
                    table.called(label),
                    classes.len()
                ),
                "use at most 256 classes, or name another column with data.label_column",
            )),
            None => Err(table.bad(
                format!(
                    "line {} has the label {}, which no training row has",
                    table.line(row),
                    cells[label]
                ),
                "add training rows of that class, or leave the row out",
            )),
        }
    };
    table.rows.iter().enumerate().map(find).collect()
}

fn numbers(table: &Cells, columns: &[usize]) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(table.rows.len() * columns.len());
    for (row, cells) in table.rows.iter().enumerate() {
        for &column in columns {
            let value: f32 = cells[column].parse().map_err(|_| {
                let found = &cells[column];
                let found = if found.is_empty() { "nothing" } else { found };
                table.bad(
                    format!(
                        "line {} has {found} in column {}",
                        table.line(row),
                        table.called(column)
                    ),
                    "replace it by a number, or leave the row or the column out",
                )
            })?;
            values.push(value);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::super::super::{DataSet, images::Dataset};
    use super::*;

    fn load(files: &[(&str, &str)], own: &OwnData) -> Result<Dataset> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        super::super::load(DataSet::Csv, Some(dir.path()), own)
    }

    const FLOWERS: &str =
        "5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,versicolor\n6.4,3.1,versicolor\n";

    #[test]
    fn flowers_are_read_without_a_first_line_of_names() {
        let data = load(&[("iris.data", FLOWERS)], &OwnData::default()).unwrap();
        assert_eq!((data.shape(), data.classes), ([2, 1, 1], 2));
        assert_eq!(data.class_names, ["setosa", "versicolor"]);
        assert_eq!((data.train.len(), data.test.len()), (2, 2));
    }

    #[test]
    fn names_semicolons_and_a_counting_column_are_understood() {
        let text = "Id;a;b;Class\n1;0;255;yes\n2;7;9;no\n3;1;1;no\n4;2;3;yes\n";
        let data = load(&[("t.csv", text)], &OwnData::default()).unwrap();
        assert_eq!(
            (data.shape(), data.class_names.as_slice()),
            ([2, 1, 1], &["no".into(), "yes".into()][..])
        );
        let mut all: Vec<u8> = [data.train.pixels, data.test.pixels].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 1, 2, 3, 7, 9, 255]);
    }

    #[test]
    fn two_tables_and_a_shape_make_images_of_both_splits() {
        let row = |label: u8, first: u8| format!("{label},{first},2,3,4,5,6\n");
        let train = row(10, 9) + &row(2, 8);
        let files = [("mnist_train.csv", train.as_str()), ("mnist_test.csv", &row(2, 7))];
        let own = OwnData {
            label_column: Some(LabelColumn::Place(0)),
            shape: Some([1, 2, 3]),
            ..OwnData::default()
        };
        let data = load(&files, &own).unwrap();
        assert_eq!((data.shape(), data.test.image(0)), ([1, 2, 3], &[7, 2, 3, 4, 5, 6][..]));
        // Labels that are numbers are in the order of numbers.
        assert_eq!((data.class_names[1].as_str(), data.train.labels), ("10", vec![1, 0]));
        let text = load(&files, &OwnData::default()).unwrap_err().to_string();
        assert!(text.contains("data.label_column"), "{text}");
        let own = OwnData { shape: Some([1, 2, 4]), ..own };
        let text = load(&files, &own).unwrap_err().to_string();
        assert!(text.contains("data.shape") && text.contains("6 numbers"), "{text}");
    }

    #[test]
    fn cells_that_cannot_be_meant_are_named_by_line_and_column() {
        let error =
            |text: &str, own: OwnData| load(&[("t.csv", text)], &own).unwrap_err().to_string();
        let text = error("a,b,label\n1,2,x\n1,,y\n", OwnData::default());
        assert!(text.contains("line 3 has nothing in column `b`"), "{text}");
        let text = error("a,b,label\n1,2,x\n1,nan,y\n3,4,x\n5,6,y\n", OwnData::default());
        assert!(text.contains("line 3") && text.contains("NaN"), "{text}");
        let text = error("a,b,label\n1,2,x\n1,2\n", OwnData::default());
        assert!(text.contains("cannot be read"), "{text}");
        let own = |column| OwnData { label_column: Some(column), ..OwnData::default() };
        let text = error(FLOWERS, own(LabelColumn::Place(3)));
        assert!(text.contains("data.label_column") && text.contains("3 columns"), "{text}");
        let text = error("a,b,c\n1,2,x\n3,4,y\n", own(LabelColumn::Name("d".into())));
        assert!(text.contains("a, b, c"), "{text}");
        let text = error("a,label\n1,x\n2,x\n", OwnData::default());
        assert!(text.contains("only one class, x"), "{text}");
    }
}
