//! Races as pictures, and strange ones.

use crate::render::canvas::color::Color;
use crate::render::canvas::theme::Theme;
use crate::render::film::show::{self, Show};
use crate::render::scene::{
    Card, Clock, ContourPanel, Grid, Moment, Pacing, PathPoint, Quantity, Series, Split, Strip,
};
use crate::render::scenes::race::film::RaceFilm;
use crate::render::scenes::race::standings::{Measure, Record, Target, standings};
use crate::render::scenes::race::{Race, RaceLayout, Racer};
use crate::render::tests::golden::assert_golden_frame;
use crate::render::tests::words::{assert_legible, complaints};

/// Three ways down one bowl at different speeds; the third diverges.
fn race(layout: RaceLayout) -> Race {
    let along = |n: usize, reach: f64| -> Vec<f64> {
        (0..n).map(|i| reach * (2.0 * i as f64 / (n - 1) as f64 - 1.0)).collect()
    };
    let (xs, ys) = (along(41, 3.0), along(37, 2.6));
    let loss = |x: f64, y: f64| 0.05 + 0.4 * (x - 0.8).powi(2) + 0.9 * (y - 0.5).powi(2);
    let values = ys.iter().flat_map(|&y| xs.iter().map(move |&x| loss(x, y))).collect();
    let racer = |k: usize| {
        let (snapshots, bend) = ([21, 16, 9][k], [0.0, 1.1, -0.9][k]);
        let path = (0..snapshots).map(|i| {
            let t = i as f64 / 20.0;
            let (x, y) = (-2.2 + 3.0 * t * (1.0 + 0.2 * k as f64), -1.8 + 2.3 * t);
            let y = y + bend * t * (1.0 - t);
            let loss = loss(x, y);
            PathPoint {
                step: 10 * i as u64,
                epoch: 10.0 * t,
                time: 10.0 * t,
                x,
                y,
                true_loss: 0.9 * loss,
                plane_loss: Some(loss),
                lr: 0.1,
            }
        });
        let speed = [0.07, 0.09, 0.05][k];
        let readings: Vec<(f64, f64)> =
            (1..=[10, 7, 4][k]).map(|e| (e as f64, 0.2 + speed * e as f64)).collect();
        Racer {
            name: ["SGD", "Momentum", "Adam"][k].into(),
            detail: "batch 64".into(),
            path: path.collect(),
            record: Record { readings, diverged: (k == 2).then_some(4.0) },
        }
    };
    let racers: Vec<Racer> = (0..3).map(racer).collect();
    let series = |(panel, racer): (usize, &Racer)| Series {
        name: racer.name.clone(),
        panel,
        quantity: Quantity::Accuracy,
        split: Split::Train,
        points: racer.record.readings.clone(),
    };
    Race {
        title: "Three ways down".into(),
        caption: "A function of two variables.".into(),
        value_label: "loss".into(),
        surface: ContourPanel {
            grid: Grid { xs, ys, values, interpolated: None },
            x_label: "PC1 (61.0 %)".into(),
            y_label: "PC2 (20.0 %)".into(),
            ..ContourPanel::default()
        },
        strip: Strip { series: racers.iter().enumerate().map(series).collect() },
        chart_titles: vec![(Quantity::Accuracy, "Test accuracy".into())],
        racers,
        layout,
        target: Target { measure: Measure::TestAccuracy, threshold: Some(0.8) },
        hold_secs: 0.3,
        pacing: Pacing::default(),
    }
}

#[test]
fn frames_of_a_race_look_as_they_did() {
    for (name, layout, size, frame) in [
        ("race-one", RaceLayout::One, [800, 450], 45),
        ("race-multiples", RaceLayout::Multiples, [800, 450], 59),
    ] {
        let (race, theme) = (race(layout), Theme::light());
        let film = RaceFilm::new(&race, &theme, size, 60, 30).unwrap();
        assert_golden_frame(name, &film, frame);
    }
}

#[test]
fn a_race_ends_with_the_longest_run_and_holds() {
    let (race, theme) = (race(RaceLayout::One), Theme::light());
    let film = RaceFilm::new(&race, &theme, [640, 360], 60, 30).unwrap();
    // Nine frames are held.
    assert_eq!(
        (film.page.timeline.epoch(0), film.page.timeline.epoch(50), film.page.timeline.epoch(59)),
        (0.0, 10.0, 10.0)
    );
    assert!(film.page.timeline.epoch(49) < 10.0);
    let backdrop = show::backdrop(&film).unwrap();
    let frame = |k| show::frame(&film, &backdrop, k).unwrap();
    assert!(frame(59).rgba() == frame(59).rgba(), "a frame is the same whenever it is asked for");
    assert!(frame(59).rgba() != frame(20).rgba());
}

#[test]
fn who_comes_up_on_the_board_is_lit_for_a_moment_and_every_row_can_be_read() {
    let (race, theme) = (race(RaceLayout::One), Theme::light());
    let film = RaceFilm::new(&race, &theme, [640, 360], 600, 30).unwrap();
    // SGD and Momentum tie for nothing: at epoch 1 Momentum leads, at the end too.
    let lit: Vec<f32> = (0..600).map(|frame| film.body.risen(&film.page, 1, frame)).collect();
    assert_eq!((lit[0], lit[599]), (0.0, 0.0));
    assert!(lit.contains(&1.0) && lit.iter().any(|l| *l > 0.0 && *l < 0.5));
    let frames: Vec<usize> = (0..600).filter(|f| lit[*f] > 0.0).collect();
    for frame in [frames[0], frames[frames.len() / 2], 200, 400] {
        assert_eq!(complaints(&film, frame), Vec::<String>::new(), "{frame}");
    }
}

#[test]
fn nobody_is_said_to_reach_the_goal_before_the_board_has_it() {
    let mut race = race(RaceLayout::One);
    let label = "Momentum reaches 80 % test accuracy".to_string();
    race.pacing.moments = vec![Moment { time: 7.0, label, pause_secs: 0.5 }];
    let theme = Theme::light();
    for fps in [10, 30, 60] {
        let film = RaceFilm::new(&race, &theme, [640, 360], 8 * fps as usize, fps).unwrap();
        let timeline = &film.page.timeline;
        let told: Vec<usize> =
            (0..timeline.frames).filter(|f| timeline.moment(*f).is_some()).collect();
        assert!(!told.is_empty());
        for frame in told {
            let now = standings(&film.body.records, race.target, timeline.epoch(frame));
            assert!(now.iter().any(|s| s.racer == 1 && s.finished == Some(7.0)), "{frame}");
        }
    }
}

#[test]
fn of_paths_that_coincide_each_can_be_seen() {
    for n in [2, 3] {
        let mut race = race(RaceLayout::One);
        race.racers.truncate(n);
        for k in 1..n {
            race.racers[k].path = race.racers[0].path.clone();
        }
        for theme in [Theme::light(), Theme::dark(), Theme::print()] {
            let film = RaceFilm::new(&race, &theme, [800, 450], 60, 30).unwrap();
            let picture = show::frame(&film, &show::backdrop(&film).unwrap(), 55).unwrap();
            let far = |i: usize, c: Color| {
                let [r, g, b] = [0, 1, 2].map(|k| picture.rgba()[i + k]);
                let (p, c) = (Color { r, g, b, a: 255 }.oklab(), c.oklab());
                (0..3).map(|k| (p[k] - c[k]).powi(2)).sum::<f32>().sqrt()
            };
            // The line of a pixel has the colour of the racer whose colour it is nearest to.
            let seen = |k: usize| {
                let line = film.body.tracks[0].line();
                let hits = line.iter().filter(|(_, (x, y))| {
                    let i = 4 * (*y as usize * 800 + *x as usize);
                    let own = far(i, theme.series_color(k));
                    own < 0.2 && (0..n).all(|j| j == k || own < far(i, theme.series_color(j)))
                });
                hits.count() as f32 / line.len() as f32
            };
            for k in 0..n {
                assert!(seen(k) > 0.15, "{}: {k} of {n} {}", theme.name, seen(k));
            }
        }
    }
}

#[test]
fn small_strange_and_lonely_races_are_drawn() {
    for layout in [RaceLayout::One, RaceLayout::Multiples] {
        for (size, clock) in
            [([320, 180], Clock::Epoch), ([640, 480], Clock::Step), ([360, 640], Clock::WallTime)]
        {
            let mut cases = vec![race(layout)];
            let mut one = race(layout);
            one.racers.truncate(1);
            cases.push(one);
            let mut many = race(layout);
            many.racers = (0..9).map(|k| many.racers[k % 3].clone()).collect();
            cases.push(many);
            let mut points = race(layout);
            points.racers.iter_mut().for_each(|r| r.path.truncate(1));
            cases.push(points);
            let mut empty = race(layout);
            empty.racers.iter_mut().for_each(|r| r.path.clear());
            empty.racers.iter_mut().for_each(|r| r.record.readings.clear());
            empty.strip.series.clear();
            cases.push(empty);
            let mut holes = race(layout);
            holes.surface.grid.values.iter_mut().for_each(|v| *v = f64::NAN);
            cases.push(holes);
            for mut case in cases {
                case.pacing.clock = clock;
                let theme = Theme::dark();
                let film = RaceFilm::new(&case, &theme, size, 5, 30).unwrap();
                let backdrop = show::backdrop(&film).unwrap();
                for k in [0, 4] {
                    show::frame(&film, &backdrop, k).unwrap();
                }
            }
        }
    }
    let nobody = Race { racers: vec![], ..race(RaceLayout::One) };
    let err = RaceFilm::new(&nobody, &Theme::light(), [640, 360], 5, 30).err().unwrap();
    assert!(err.to_string().contains("no racer"), "{err}");
}

#[test]
fn words_can_be_read_at_every_size() {
    for layout in [RaceLayout::One, RaceLayout::Multiples] {
        let race: &'static Race = Box::leak(Box::new(race(layout)));
        assert_legible(&layout.to_string(), &|size, scale| {
            let theme: &'static Theme = Box::leak(Box::new(Theme { scale, ..Theme::light() }));
            Box::new(RaceFilm::new(race, theme, size, 60, 30).unwrap())
        });
    }
}

#[test]
fn a_race_waits_for_its_card_and_stands_where_somebody_finishes() {
    let mut race = race(RaceLayout::One);
    let label = "Momentum reaches 80 % test accuracy".to_string();
    race.pacing.moments = vec![Moment { time: 7.0, label, pause_secs: 0.5 }];
    race.pacing.card = Some(Card { title: "A race".into(), lines: vec![], secs: 0.4 });
    let theme = Theme::light();
    let film = RaceFilm::new(&race, &theme, [640, 360], 90, 30).unwrap();
    let times: Vec<f64> = (0..90).map(|frame| film.page.timeline.epoch(frame)).collect();
    assert!(times.windows(2).all(|w| w[0] <= w[1]));
    assert!(times[..12].iter().all(|t| *t == 0.0) && times[14] > 0.0, "{times:?}");
    let still = times.iter().filter(|t| **t == 7.0).count();
    assert!((14..=17).contains(&still), "{still}");
    assert!(film.texts().iter().any(|t| t.starts_with("Momentum reaches")));
    race.pacing = Pacing::default();
    let bare = RaceFilm::new(&race, &theme, [640, 360], 90, 30).unwrap();
    assert!(bare.page.timeline.epoch(1) > 0.0);
}
