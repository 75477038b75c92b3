//! The HDF5 files of Li et al.'s code (`tomgoldstein/loss-landscape`): directions and surfaces.
//!
//! A direction file has a group `xdirection` and perhaps `ydirection` with the datasets `0`, `1`,
//! ..., one a parameter. A surface file has its coordinates and, for each quantity, an array that
//! the code allocates as (nx, ny) but fills by flat index k at x = `xs[k % nx]`,
//! y = `ys[k / nx]`. Taken at its shape such an array is transposed; its bytes are row-major
//! `[iy][ix]`, and that is how they are read and written here. Cells not computed yet are -1.

use std::io::Write;
use std::path::Path;

use hdf5_pure::{Dataset, Datatype, DatatypeByteOrder, File, FileBuilder, FormatError, Group};

use super::{NamedTensor, bad_file};
use crate::element::{ByteOrder, Element};
use crate::error::{Error, Result};
use crate::{disk, memory};

const DAMAGED: &str = "copy or download it again, or compute it anew";
/// Bytes that chunks without data may stand for.
const UNWRITTEN: u64 = 1 << 24;
/// How the paper's code marks a cell that it has not computed.
const UNFILLED: f64 = -1.0;

/// A direction file: one tensor for each parameter of the network, in `net.parameters()` order
/// (buffers are not in it). The file has no names: the tensors are called `0`, `1`, ....
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Directions {
    /// The x direction.
    pub x: Vec<NamedTensor>,
    /// The y direction, in files for two-dimensional surfaces.
    pub y: Option<Vec<NamedTensor>>,
    /// Of PCA files: the explained variance ratio of the axes.
    pub explained_variance_ratio: Option<Vec<f64>>,
}

/// One quantity over the grid of a [`Surface`].
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name in the file: `train_loss`, `train_acc` (percent), `test_loss`, ....
    pub name: String,
    /// Values, row-major `[iy][ix]`: `values[iy * nx + ix]`; NaN where the file says unfilled.
    pub values: Vec<f64>,
    /// How many cells the file marks as unfilled (-1 in the file, NaN in `values`).
    pub unfilled: usize,
}

/// A surface file: quantities over a grid of coordinates, or over a line when `ys` is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surface {
    /// The direction file the surface was computed along, as its writer named it.
    pub dir_file: Option<String>,
    /// The x coordinates, `(nx,)`.
    pub xs: Vec<f64>,
    /// The y coordinates, `(ny,)`; `None` for a curve.
    pub ys: Option<Vec<f64>>,
    /// The quantities, in name order.
    pub fields: Vec<Field>,
}

impl Surface {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// The number of grid points.
    fn cells(&self) -> usize {
        self.xs.len() * self.ys.as_ref().map_or(1, Vec::len)
    }
}

/// Reads a direction file.
///
/// # Errors
/// [`Error::Io`], or [`Error::BadFile`] when it is not HDF5, damaged, or no direction file.
pub fn read_directions(path: impl AsRef<Path>) -> Result<Directions> {
    let source = Source::open(path.as_ref())?;
    let groups = source.root.groups().map_err(|e| source.damaged(e))?;
    let datasets = source.root.datasets().map_err(|e| source.damaged(e))?;
    let has = |names: &[String], wanted: &str| names.iter().any(|name| name == wanted);
    if !has(&groups, "xdirection") {
        return Err(source.bad("it has no group `xdirection`", "give a direction file"));
    }
    let has_y = has(&groups, "ydirection");
    let ratio = "explained_variance_ratio_";
    let read_ratio = || {
        let dataset = source.root.dataset(ratio).map_err(|e| source.damaged(e))?;
        source.values(&dataset, ratio)
    };
    Ok(Directions {
        x: source.direction("xdirection")?,
        y: has_y.then(|| source.direction("ydirection")).transpose()?,
        explained_variance_ratio: has(&datasets, ratio).then(read_ratio).transpose()?,
    })
}

/// Reads a surface or curve file.
///
/// # Errors
/// [`Error::Io`], or [`Error::BadFile`] when it is not HDF5, damaged, or no surface file.
pub fn read_surface(path: impl AsRef<Path>) -> Result<Surface> {
    let source = Source::open(path.as_ref())?;
    let mut surface = Surface::default();
    let mut arrays = Vec::new();
    for (name, dataset) in source.root.iter_datasets().map_err(|e| source.damaged(e))? {
        match name.as_str() {
            "xcoordinates" => surface.xs = source.values(&dataset, &name)?,
            "ycoordinates" => surface.ys = Some(source.values(&dataset, &name)?),
            "dir_file" => {
                if source.shape(&dataset, &name)?.iter().all(|&dim| dim == 1) {
                    let text = dataset.read_string().map_err(|e| source.damaged(e))?;
                    surface.dir_file = text.into_iter().next();
                }
            }
            _ => arrays.push((name, dataset)),
        }
    }
    if surface.xs.is_empty() {
        return Err(source.bad("it has no `xcoordinates`", "give a surface or curve file"));
    }
    let cells = surface.cells();
    for (name, dataset) in arrays {
        // Counters and texts that other tools put beside them are no quantities over the grid.
        let datatype = dataset.datatype().map_err(|e| source.damaged(e))?;
        if !matches!(datatype, Datatype::FloatingPoint { .. }) {
            continue;
        }
        let mut values = source.values(&dataset, &name)?;
        if values.len() != cells {
            let what = format!("{name} has {} values for {cells} grid points", values.len());
            return Err(source.bad(what, DAMAGED));
        }
        let mut unfilled = 0;
        for value in values.iter_mut().filter(|value| **value == UNFILLED) {
            *value = f64::NAN;
            unfilled += 1;
        }
        surface.fields.push(Field { name, values, unfilled });
    }
    surface.fields.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(surface)
}

/// Reads a projection file: the coordinates of a path on a plane, start to final.
///
/// # Errors
/// [`Error::Io`], or [`Error::BadFile`] when it is not HDF5, damaged, or no projection file.
pub fn read_path(path: impl AsRef<Path>) -> Result<Vec<[f64; 2]>> {
    let source = Source::open(path.as_ref())?;
    let axis = |name: &str| {
        let names = source.root.datasets().map_err(|e| source.damaged(e))?;
        if !names.iter().any(|known| known == name) {
            let what = format!("it has no `{name}`");
            return Err(source.bad(what, "give a projection file of the paper's code"));
        }
        let dataset = source.root.dataset(name).map_err(|e| source.damaged(e))?;
        source.values(&dataset, name)
    };
    let (xs, ys) = (axis("proj_xcoord")?, axis("proj_ycoord")?);
    if xs.is_empty() || xs.len() != ys.len() {
        let what = format!("it has {} x and {} y coordinates", xs.len(), ys.len());
        return Err(source.bad(what, DAMAGED));
    }
    Ok(xs.into_iter().zip(ys).map(|(x, y)| [x, y]).collect())
}

/// An open file, and what its sizes are checked against.
struct Source<'a> {
    path: &'a Path,
    len: u64,
    root: Group,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let bytes = disk::read_named(path, "read the HDF5 file", memory::most_bytes())?;
        if !hdf5_pure::is_hdf5_bytes(&bytes) {
            let what = "it is not an HDF5 file";
            return Err(bad_file(
                path,
                what,
                "give a file that the paper's code wrote; a line to other weights is `curve --to FILE`",
            ));
        }
        let len = bytes.len() as u64;
        let file = File::from_bytes(bytes).map_err(|e| damaged(path, e))?;
        Ok(Self { path, len, root: file.root() })
    }

    fn bad(&self, what: impl Into<String>, remedy: &str) -> Error {
        bad_file(self.path, what, remedy)
    }

    fn damaged(&self, e: hdf5_pure::Error) -> Error {
        damaged(self.path, e)
    }

    /// The datasets `0` to `N-1` of a direction.
    fn direction(&self, name: &str) -> Result<Vec<NamedTensor>> {
        let group = self.root.group(name).map_err(|e| self.damaged(e))?;
        let members = group.iter_datasets().map_err(|e| self.damaged(e))?;
        let count = members.len();
        let mut tensors: Vec<Option<NamedTensor>> = vec![None; count];
        for (key, dataset) in members {
            let slot = key.parse().ok().and_then(|i: usize| tensors.get_mut(i));
            let Some(slot) = slot else {
                let what = format!("{name} has a dataset `{key}` among its {count}");
                return Err(self.bad(what, "its datasets must be called 0, 1, ..."));
            };
            let shape = self.shape(&dataset, &key)?;
            let numbers = self.numbers(&dataset, &key)?;
            let data: Vec<f32> = numbers.iter().map(|v| *v as f32).collect();
            self.check_len(&key, &shape, data.len())?;
            *slot = Some(NamedTensor { name: key, shape, data });
        }
        // As many names as slots: one is left empty only where two spellings (`1`, `01`) took one.
        let tensors: Option<Vec<NamedTensor>> = tensors.into_iter().collect();
        tensors.ok_or_else(|| self.bad(format!("{name} has two datasets of one number"), DAMAGED))
    }

    fn values(&self, dataset: &Dataset, name: &str) -> Result<Vec<f64>> {
        let shape = self.shape(dataset, name)?;
        let data = self.numbers(dataset, name)?;
        self.check_len(name, &shape, data.len())?;
        Ok(data)
    }

    /// The numbers of a dataset whose shape was looked at, of whatever type, order of bytes and storage.
    fn numbers(&self, dataset: &Dataset, name: &str) -> Result<Vec<f64>> {
        let datatype = dataset.datatype().map_err(|e| self.damaged(e))?;
        let Some((element, order)) = element_of(&datatype) else {
            return Err(self.bad(
                format!("{name} has values of the type {datatype}, which are no plain numbers"),
                "write it as float32 or float64",
            ));
        };
        let raw = dataset.read_raw().map_err(|e| match e {
            hdf5_pure::Error::Format(FormatError::UnsupportedFilter(_)) => self.bad(
                format!("{name} is compressed by a filter that is not known here ({e})"),
                "rewrite it with `h5repack -f GZIP=4 OLD NEW`",
            ),
            e => self.damaged(e),
        })?;
        Ok(raw.chunks_exact(element.size()).map(|v| element.decode_f64(v, order)).collect())
    }

    /// The shape of a dataset, whose data can be in its file and in memory: hdf5-pure allocates whatever the
    /// shape of a damaged file says.
    fn shape(&self, dataset: &Dataset, name: &str) -> Result<Vec<usize>> {
        let shape = dataset.shape().map_err(|e| self.damaged(e))?;
        let element = dataset.element_size().map_err(|e| self.damaged(e))?.max(1);
        let bytes = shape.iter().try_fold(element, |n, &dim| n.checked_mul(dim.max(1)));
        // Deflate makes at most 1032 bytes of one; a chunk that nobody wrote takes none.
        let most = if dataset.is_chunked() {
            self.len.saturating_mul(1032).saturating_add(UNWRITTEN).min(memory::most_bytes())
        } else {
            self.len
        };
        if bytes.is_none_or(|bytes| bytes > most) {
            let what = format!("{name} has the shape {shape:?}, more than its file holds");
            return Err(self.bad(what, DAMAGED));
        }
        Ok(shape.iter().map(|&dim| dim as usize).collect())
    }

    fn check_len(&self, name: &str, shape: &[usize], len: usize) -> Result<()> {
        if shape.iter().product::<usize>() == len {
            return Ok(());
        }
        Err(self.bad(format!("{name} has {len} values for the shape {shape:?}"), DAMAGED))
    }
}

/// How a type of numbers is stored; nothing for others.
fn element_of(datatype: &Datatype) -> Option<(Element, ByteOrder)> {
    let order = |order: &DatatypeByteOrder| match order {
        DatatypeByteOrder::LittleEndian => Some(ByteOrder::Little),
        DatatypeByteOrder::BigEndian => Some(ByteOrder::Big),
        _ => None,
    };
    Some(match datatype {
        Datatype::FloatingPoint { size, byte_order, layout } => {
            let element = match (size, layout.exponent_size, layout.mantissa_size) {
                (2, 5, 10) => Element::F16,
                (2, 8, 7) => Element::BF16,
                (4, 8, 23) => Element::F32,
                (8, 11, 52) => Element::F64,
                _ => return None,
            };
            (element, order(byte_order)?)
        }
        Datatype::FixedPoint { size, byte_order, layout } => {
            let element = match (size, layout.signed) {
                (1, true) => Element::I8,
                (2, true) => Element::I16,
                (4, true) => Element::I32,
                (8, true) => Element::I64,
                (1, false) => Element::U8,
                (2, false) => Element::U16,
                (4, false) => Element::U32,
                (8, false) => Element::U64,
                _ => return None,
            };
            (element, order(byte_order)?)
        }
        _ => return None,
    })
}

fn damaged(path: &Path, e: hdf5_pure::Error) -> Error {
    let what = format!("its HDF5 structure is damaged or of an unknown version ({e})");
    bad_file(path, what, DAMAGED)
}

/// Writes a direction file that Li et al.'s code reads, atomically.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadValue`] when a tensor's data are not of its shape.
pub fn write_directions(path: impl AsRef<Path>, directions: &Directions) -> Result<()> {
    let mut builder = FileBuilder::new();
    let axes = [("xdirection", Some(&directions.x)), ("ydirection", directions.y.as_ref())];
    for (name, tensors) in axes {
        let Some(tensors) = tensors else { continue };
        let mut group = builder.create_group(name);
        for (i, tensor) in tensors.iter().enumerate() {
            let NamedTensor { shape, data, .. } = tensor;
            expect_len(&tensor.name, shape.iter().product(), data.len())?;
            let shape: Vec<u64> = shape.iter().map(|&dim| dim as u64).collect();
            group.create_dataset(&i.to_string()).with_f32_data(data).with_shape(&shape);
        }
        builder.add_group(group.finish());
    }
    if let Some(ratio) = &directions.explained_variance_ratio {
        builder.create_dataset("explained_variance_ratio_").with_f64_data(ratio);
    }
    write(path.as_ref(), builder)
}

/// Writes a surface file that Li et al.'s code reads, atomically; NaN cells as unfilled (-1).
///
/// # Errors
/// [`Error::Io`]; [`Error::BadValue`] when a field has not nx * ny values.
pub fn write_surface(path: impl AsRef<Path>, surface: &Surface) -> Result<()> {
    let mut builder = FileBuilder::new();
    if let Some(dir_file) = &surface.dir_file {
        builder.create_dataset("dir_file").with_vlen_strings(&[dir_file]).with_shape(&[]);
    }
    builder.create_dataset("xcoordinates").with_f64_data(&surface.xs);
    if let Some(ys) = &surface.ys {
        builder.create_dataset("ycoordinates").with_f64_data(ys);
    }
    // (nx, ny) on row-major [iy][ix] data: what the paper's code has.
    let ny = surface.ys.as_ref().map(|ys| ys.len() as u64);
    let shape: Vec<u64> = [Some(surface.xs.len() as u64), ny].into_iter().flatten().collect();
    for Field { name, values, .. } in &surface.fields {
        expect_len(name, surface.cells(), values.len())?;
        let values: Vec<f64> =
            values.iter().map(|&v| if v.is_nan() { UNFILLED } else { v }).collect();
        builder.create_dataset(name).with_f64_data(&values).with_shape(&shape);
    }
    write(path.as_ref(), builder)
}

/// Writes a path on a plane as the paper's code has projections: `proj_xcoord` and `proj_ycoord`, start to
/// end.
///
/// # Errors
/// [`Error::Io`].
pub fn write_path(path: impl AsRef<Path>, coords: &[[f64; 2]]) -> Result<()> {
    let mut builder = FileBuilder::new();
    for (axis, name) in ["proj_xcoord", "proj_ycoord"].into_iter().enumerate() {
        let values: Vec<f64> = coords.iter().map(|point| point[axis]).collect();
        builder.create_dataset(name).with_f64_data(&values);
    }
    write(path.as_ref(), builder)
}

fn expect_len(name: &str, wanted: usize, len: usize) -> Result<()> {
    if wanted == len {
        return Ok(());
    }
    let problem = format!("but it needs {wanted}");
    Err(Error::bad_value(format!("values of {name}"), len, problem, "give one for each element"))
}

fn write(path: &Path, builder: FileBuilder) -> Result<()> {
    let bytes = builder.finish().map_err(|e| {
        bad_file(path, format!("it cannot be made ({e})"), "use shorter or other names")
    })?;
    disk::write(path, |out| out.write_all(&bytes))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fixture, shared};
    use super::*;

    #[test]
    fn the_paper_s_surfaces_read_as_h5py_reads_them() {
        let Some(path) = shared("li2018-resnet56/surface-2d-51x51.h5") else { return };
        let surface = read_surface(path).unwrap();
        assert_eq!((surface.xs.len(), surface.ys.as_ref().unwrap().len()), (51, 51));
        assert!(surface.dir_file.as_deref().unwrap().starts_with("cifar10/trained_nets/"));
        let names: Vec<&str> = surface.fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["test_loss", "train_acc", "train_loss"]);
        // Numbers as h5py prints them, to the digits printed.
        let value = |name: &str, k: usize| surface.field(name).unwrap().values[k];
        let centre = 25 * 51 + 25;
        assert!((value("train_loss", centre) - 0.000_919_58).abs() < 5e-9);
        assert!((value("train_acc", centre) - 99.998).abs() < 1e-9);
        assert!((value("test_loss", centre) - 0.288_304).abs() < 5e-7);
        assert!((value("train_loss", 1) - 14.680_708_70).abs() < 5e-9);
        assert!(surface.fields.iter().all(|f| f.unfilled == 0));

        let Some(path) = shared("li2018-resnet56-noshort/surface-2d-201x201.h5") else { return };
        let surface = read_surface(path).unwrap();
        let loss = &surface.field("train_loss").unwrap().values;
        assert_eq!(loss.len(), 201 * 201);
        assert!((loss[0] - 45.048_749_68).abs() < 5e-9);
        let highest = loss.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!((highest - 153.9).abs() < 0.05, "{highest}");
    }

    #[test]
    fn the_paper_s_curve_has_no_y() {
        let Some(path) = shared("li2018-resnet56/curve-1d-51.h5") else { return };
        let curve = read_surface(path).unwrap();
        assert_eq!((curve.xs.len(), &curve.ys), (51, &None));
        assert_eq!((curve.xs[0], curve.xs[50]), (-1.0, 1.0));
        assert!((curve.field("train_loss").unwrap().values[0] - 4.264_160_63).abs() < 5e-9);
    }

    #[test]
    fn the_paper_s_direction_has_one_tensor_for_each_of_173_parameters() {
        let Some(path) = shared("li2018-resnet56/direction-1d.h5") else { return };
        let directions = read_directions(path).unwrap();
        assert_eq!((directions.x.len(), &directions.y), (173, &None));
        let count: usize = directions.x.iter().map(|t| t.data.len()).sum();
        assert_eq!(count, 855_770);
        assert_eq!((&*directions.x[0].name, &*directions.x[0].shape), ("0", &[16, 3, 3, 3][..]));
        assert_eq!((&*directions.x[172].name, &*directions.x[172].shape), ("172", &[10][..]));
        // ignore=biasbn: one-dimensional tensors are zero, filters have the norm of the filters.
        assert!(directions.x[1].data.iter().all(|&v| v == 0.0));
        assert!(directions.x[0].data.iter().all(|&v| v != 0.0));
    }

    #[test]
    fn a_rectangular_surface_is_not_transposed_and_unfilled_cells_are_nan() {
        let surface = read_surface(fixture("surface-3x2.h5")).unwrap();
        assert_eq!(surface.dir_file.as_deref(), Some("directions.h5"));
        let field = surface.field("train_loss").unwrap();
        // values[iy][ix] = 10 x + y + 100 for x = -1, 0, 1 and y = 0, 5.
        assert_eq!(field.values[..5], [90.0, 100.0, 110.0, 95.0, 105.0]);
        assert!(field.values[5].is_nan());
        assert_eq!(field.unfilled, 1);
    }

    #[test]
    fn compressed_chunks_are_read() {
        let surface = read_surface(fixture("surface-chunked.h5")).unwrap();
        assert_eq!((surface.xs.len(), surface.ys.as_ref().map(Vec::len)), (10, Some(10)));
        let want: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(surface.field("train_loss").unwrap().values, want);
    }

    #[test]
    fn every_type_of_numbers_and_order_of_bytes_is_read() {
        let surface = read_surface(fixture("surface-kinds.h5")).unwrap();
        assert_eq!(surface.xs, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(surface.ys.as_deref(), Some(&[0.0, 1.0, 2.0, 3.0, 4.0][..]));
        let names: Vec<&str> = surface.fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["test_acc", "test_loss", "train_acc", "train_loss"]);
        let of = |name: &str| &surface.field(name).unwrap().values;
        for i in 0..30 {
            assert_eq!(of("train_loss")[i], i as f64);
            assert_eq!(of("train_acc")[i], f64::from((i as f64 + 0.1) as f32));
            assert_eq!(of("test_loss")[i], i as f64 / 3.0);
            assert!(of("test_acc")[i].is_nan(), "the fill value is the mark of no value");
        }
        let directions = read_directions(fixture("direction-half.h5")).unwrap();
        assert_eq!(directions.x.len(), 3);
        assert_eq!(directions.x[2].data, [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(directions.x[2].shape, [2, 3]);
    }

    /// Whatever the bytes are: an answer or an error, and no more memory than the file can stand for.
    #[test]
    fn damaged_chunks_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.h5");
        let mut rng = crate::rng::Streams::new(5).stream("damage", 0);
        for name in ["surface-chunked.h5", "surface-kinds.h5"] {
            let whole = std::fs::read(fixture(name)).unwrap();
            for _ in 0..1500 {
                let mut bytes = whole.clone();
                for _ in 0..1 + rng.below(4) {
                    let at = rng.below(bytes.len());
                    bytes[at] = rng.below(256) as u8;
                }
                if rng.below(4) == 0 {
                    bytes.truncate(rng.below(bytes.len()));
                }
                std::fs::write(&path, &bytes).unwrap();
                let _ = read_surface(&path);
            }
        }
    }

    #[test]
    fn surfaces_and_directions_read_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("surface.h5");
        let surface = read_surface(fixture("surface-3x2.h5")).unwrap();
        write_surface(&path, &surface).unwrap();
        let again = read_surface(&path).unwrap();
        assert_eq!((&again.xs, &again.ys), (&surface.xs, &surface.ys));
        assert_eq!(again.dir_file, surface.dir_file);
        assert_eq!(again.fields[0].values[..5], surface.fields[0].values[..5]);
        assert_eq!(again.fields[0].unfilled, 1);

        let tensor = |name: &str, shape: &[usize]| NamedTensor {
            name: name.to_string(),
            shape: shape.to_vec(),
            data: (0..shape.iter().product()).map(|i: usize| i as f32 - 0.5).collect(),
        };
        let directions = Directions {
            x: (0..12).map(|i| tensor(&i.to_string(), &[2, i + 1])).collect(),
            y: Some(vec![tensor("0", &[3])]),
            explained_variance_ratio: Some(vec![0.5, 0.25]),
        };
        write_directions(&path, &directions).unwrap();
        assert_eq!(read_directions(&path).unwrap(), directions);
    }

    #[test]
    fn the_wrong_kind_of_hdf5_file_and_no_hdf5_at_all_are_told_apart() {
        let surface = fixture("surface-3x2.h5");
        let err = read_directions(&surface).unwrap_err().to_string();
        assert!(err.contains("no group `xdirection`") && err.ends_with("3x2.h5"), "{err}");
        let err = read_surface(fixture("zoo.t7")).unwrap_err().to_string();
        assert!(err.contains("not an HDF5 file"), "{err}");
        assert!(matches!(read_surface(fixture("absent.h5")), Err(Error::Io { .. })));
    }

    #[test]
    fn a_field_of_another_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let field = Field { name: "train_loss".to_string(), values: vec![1.0; 3], unfilled: 0 };
        let surface = Surface { xs: vec![0.0, 1.0], fields: vec![field], ..Surface::default() };
        let path = folder.path().join("surface.h5");
        assert!(write_surface(&path, &surface).unwrap_err().to_string().contains("train_loss"));
        assert!(!path.exists());
    }
}
