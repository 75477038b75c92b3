//! Tables as files that other tools read: CSV (RFC 4180) and Apache Parquet.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use crate::{Error, Result};

/// A table by columns of one length.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    columns: Vec<(String, Column)>,
}

/// A column; `None` is empty in CSV and null in Parquet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Column {
    Text(Vec<Option<String>>),
    Number(Vec<Option<f64>>),
    Count(Vec<Option<i64>>),
    Flag(Vec<Option<bool>>),
}

impl Table {
    /// With another column of text.
    pub(crate) fn text(self, name: &str, values: impl Iterator<Item = Option<String>>) -> Self {
        self.with(name, Column::Text(values.collect()))
    }

    /// With another column of numbers; what is not finite is left out.
    pub(crate) fn number(self, name: &str, values: impl Iterator<Item = Option<f64>>) -> Self {
        let finite = values.map(|value| value.filter(|v| v.is_finite()));
        self.with(name, Column::Number(finite.collect()))
    }

    /// With another column of whole numbers.
    pub(crate) fn count(self, name: &str, values: impl Iterator<Item = Option<usize>>) -> Self {
        self.with(name, Column::Count(values.map(|v| v.map(|v| v as i64)).collect()))
    }

    /// With another column of yes or no.
    pub(crate) fn flag(self, name: &str, values: impl Iterator<Item = bool>) -> Self {
        self.with(name, Column::Flag(values.map(Some).collect()))
    }

    fn with(mut self, name: &str, column: Column) -> Self {
        self.columns.push((name.into(), column));
        self
    }

    fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| match column {
            Column::Text(values) => values.len(),
            Column::Number(values) => values.len(),
            Column::Count(values) => values.len(),
            Column::Flag(values) => values.len(),
        })
    }

    /// As CSV, with a head.
    pub(crate) fn to_csv(&self) -> String {
        let names = self.columns.iter().map(|(name, _)| field(name));
        let mut out = names.collect::<Vec<_>>().join(",") + "\n";
        for row in 0..self.rows() {
            let cells = self.columns.iter().map(|(_, column)| match column {
                Column::Text(values) => values[row].as_deref().map(field).unwrap_or_default(),
                Column::Number(values) => shown(values[row]),
                Column::Count(values) => shown(values[row]),
                Column::Flag(values) => shown(values[row]),
            });
            out += &(cells.collect::<Vec<_>>().join(",") + "\n");
        }
        out
    }

    /// As a Parquet file of one row group, not compressed.
    ///
    /// # Errors
    /// [`Error::Data`] where the library refuses the table.
    pub(crate) fn to_parquet(&self) -> Result<Vec<u8>> {
        self.parquet().map_err(|e| Error::Data {
            what: format!("the table cannot be written as Parquet ({e})"),
            remedy: "use the CSV file beside it".into(),
        })
    }

    fn parquet(&self) -> std::result::Result<Vec<u8>, ParquetError> {
        let fields = self.columns.iter().map(|(name, column)| {
            let (physical, logical) = match column {
                Column::Text(_) => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
                Column::Number(_) => (PhysicalType::DOUBLE, None),
                Column::Count(_) => (PhysicalType::INT64, None),
                Column::Flag(_) => (PhysicalType::BOOLEAN, None),
            };
            let builder = Type::primitive_type_builder(name, physical);
            let builder = builder.with_logical_type(logical);
            builder.with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
        });
        let fields = fields.collect::<std::result::Result<Vec<_>, _>>()?;
        let schema = Type::group_type_builder("table").with_fields(fields).build()?;
        let properties = Arc::new(WriterProperties::default());
        let mut bytes = Vec::new();
        let mut file = SerializedFileWriter::new(&mut bytes, Arc::new(schema), properties)?;
        let mut group = file.next_row_group()?;
        for (_, column) in &self.columns {
            match column {
                Column::Text(values) => write::<ByteArrayType, _>(&mut group, values, |text| {
                    ByteArray::from(text.as_bytes().to_vec())
                })?,
                Column::Number(values) => write::<DoubleType, _>(&mut group, values, |v| *v)?,
                Column::Count(values) => write::<Int64Type, _>(&mut group, values, |v| *v)?,
                Column::Flag(values) => write::<BoolType, _>(&mut group, values, |v| *v)?,
            }
        }
        group.close()?;
        file.close()?;
        Ok(bytes)
    }
}

/// The next column of a row group: the values that there are, and which rows have one.
fn write<D: DataType, T>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    values: &[Option<T>],
    of: impl Fn(&T) -> D::T,
) -> std::result::Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more columns than the schema has".into()));
    };
    let there: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let known: Vec<D::T> = values.iter().flatten().map(of).collect();
    column.typed::<D>().write_batch(&known, Some(&there), None)?;
    column.close()
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A field of CSV.
fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    fn table() -> Table {
        Table::default()
            .text("optim.rule", [Some("a,\"b\"".to_string()), None].into_iter())
            .number("loss", [Some(0.1), Some(f64::NAN)].into_iter())
            .count("seed", [Some(3), None].into_iter())
            .flag("seen", [true, false].into_iter())
    }

    #[test]
    fn csv_quotes_what_it_must_and_leaves_the_unknown_empty() {
        assert_eq!(
            table().to_csv(),
            "optim.rule,loss,seed,seen\n\"a,\"\"b\"\"\",0.1,3,true\n,,,false\n"
        );
    }

    #[test]
    fn parquet_reads_back_with_types_and_nulls() {
        let bytes = table().to_parquet().unwrap();
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap()).collect();
        let row = |i: usize| {
            let columns = rows[i].get_column_iter();
            columns.map(|(name, field)| (name.clone(), field.clone())).collect::<Vec<_>>()
        };
        let named = |name: &str, field| (name.to_string(), field);
        let first = [
            named("optim.rule", Field::Str("a,\"b\"".into())),
            named("loss", Field::Double(0.1)),
            named("seed", Field::Long(3)),
            named("seen", Field::Bool(true)),
        ];
        assert_eq!(row(0), first);
        assert_eq!(row(1).iter().filter(|(_, f)| *f == Field::Null).count(), 3);
    }
}
