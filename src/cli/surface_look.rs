//! Options of surfaces in space.

use std::path::Path;

use lossreel::Result;
use lossreel::render::surface3d::flight::CameraPath;
use lossreel::render::surface3d::scale::Heights;
use lossreel::stages::scenes::SurfaceOptions;

const HEADING: &str = "Surface in space";

/// How a surface is looked at; with `--as surface`, and `--as moving --view space`.
#[derive(Debug, clap::Args)]
pub struct LookArgs {
    /// Camera: still, sway, orbit, fly-in, follow, or a file of [[key]] tables with at (0 to 1),
    /// azimuth, elevation, distance, look (at the marker, 0 to 1) and follow (the marker, 0 to 1).
    /// By default sway along a path, orbit without one.
    #[arg(long, value_name = "NAME|FILE", help_heading = HEADING)]
    camera: Option<String>,
    /// From which side, in degrees: -90 has x to the right and y into the picture; by default the
    /// side that shows most.
    #[arg(long, value_name = "DEGREES", allow_hyphen_values = true, help_heading = HEADING)]
    azimuth: Option<f64>,
    /// From how high, in degrees: 90 is straight above; by default as high as shows most.
    #[arg(long, value_name = "DEGREES", help_heading = HEADING)]
    elevation: Option<f64>,
    /// How heights grow with values: auto (log where no value is negative), log, linear.
    #[arg(long, default_value = "auto", help_heading = HEADING)]
    heights: HeightsArg,
    /// Cut the surface off above this value; the cap is hatched.
    #[arg(long, value_name = "VALUE", help_heading = HEADING)]
    clip: Option<f64>,
    /// Height of the box; its longer side is 2. By default 1 to 1.9, what shows most in the room there
    /// for.
    #[arg(long, help_heading = HEADING)]
    relief: Option<f32>,
    /// The surface alone, without box, axes and colour bar: for a title, where nothing is read off.
    #[arg(long, help_heading = HEADING)]
    pub no_axes: bool,
    /// Pictures of which a frame is the mean, each with four samples a pixel; 4 for stills, 1 for
    /// films.
    #[arg(long, help_heading = HEADING)]
    passes: Option<usize>,
}

/// How heights grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum HeightsArg {
    /// Log where no value is negative, else linear.
    Auto,
    /// Equal steps are equal factors.
    Log,
    /// Equal steps are equal differences.
    Linear,
}

impl LookArgs {
    /// The view that is asked for.
    pub fn view(&self) -> Result<SurfaceOptions> {
        let camera = |name: &String| {
            let is_file = Path::new(name).extension().is_some() || name.contains('/');
            if is_file { CameraPath::read(Path::new(name)) } else { CameraPath::preset(name) }
        };
        Ok(SurfaceOptions {
            drape: None,
            camera: self.camera.as_ref().map(camera).transpose()?,
            azimuth: self.azimuth,
            elevation: self.elevation,
            heights: match self.heights {
                HeightsArg::Auto => Heights::Auto,
                HeightsArg::Log => Heights::Log,
                HeightsArg::Linear => Heights::Linear,
            },
            clip: self.clip,
            relief: self.relief,
            passes: self.passes,
        })
    }
}
