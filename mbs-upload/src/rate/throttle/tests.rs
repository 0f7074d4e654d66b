use crate::rate::throttle::*;

/// A server as a function of the number in flight, measured so many times.
fn run(
    throttle: &mut Throttle,
    times: usize,
    server: impl Fn(usize, usize) -> Sample,
) -> Vec<usize> {
    (0..times)
        .map(|i| {
            let now = throttle.now();
            throttle.decide(&server(now, i));
            now
        })
        .collect()
}

fn alive(rate: f64, number: usize) -> Sample {
    Sample {
        rate,
        latency: number as f64 / rate,
        ..Sample::default()
    }
}

/// One file a second for each in flight, up to `k` of them.
fn saturating(k: usize) -> impl Fn(usize, usize) -> Sample {
    move |number, _| alive(number.min(k) as f64, number)
}

fn part_at(numbers: &[usize], at: impl Fn(usize) -> bool) -> f64 {
    numbers.iter().filter(|&&number| at(number)).count() as f64 / numbers.len() as f64
}

#[test]
fn a_server_that_saturates_is_given_just_enough() {
    for k in 1..=8 {
        let mut throttle = Throttle::new(1, 8);
        let numbers = run(&mut throttle, 200, saturating(k));
        let late = &numbers[20..];
        assert!(
            part_at(late, |number| number == k) > 0.8,
            "{k}: {numbers:?}"
        );
    }
}

#[test]
fn a_server_that_collapses_beyond_a_number_is_kept_below_it() {
    let server = |number: usize, _| match number > 5 {
        true => Sample {
            failures: 3,
            ..alive(0.5, number)
        },
        false => alive(number as f64, number),
    };
    let mut throttle = Throttle::new(1, 16);
    let numbers = run(&mut throttle, 300, server);
    assert!(
        part_at(&numbers[20..], |number| number > 5) < 0.05,
        "{numbers:?}"
    );
    assert!(
        part_at(&numbers[20..], |number| (3..=5).contains(&number)) > 0.9,
        "{numbers:?}"
    );
}

#[test]
fn noise_does_not_lead_astray() {
    for seed in 1..=20_u64 {
        // A rate that is off by up to a quarter either way.
        let noise = |i: usize| {
            let mixed = (i as u64 + 1)
                .wrapping_mul(seed)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
            0.75 + 0.5 * (mixed >> 40) as f64 / (1_u64 << 24) as f64
        };
        let server = |number: usize, i| alive(number.min(4) as f64 * noise(i), number);
        let mut throttle = Throttle::new(1, 8);
        let numbers = run(&mut throttle, 400, server);
        let late = &numbers[100..];
        let worth: f64 = late.iter().map(|&number| number.min(4) as f64 / 4.0).sum();
        assert!(worth / late.len() as f64 > 0.75, "{seed}: {numbers:?}");
    }
}

#[test]
fn a_server_that_gets_faster_is_noticed() {
    let mut throttle = Throttle::new(1, 8);
    run(&mut throttle, 60, saturating(2));
    let numbers = run(&mut throttle, 400, saturating(6));
    assert!(
        part_at(&numbers[300..], |number| number >= 5) > 0.8,
        "{numbers:?}"
    );
}

#[test]
fn signs_of_distress_are_given_way_to_at_once() {
    let settled = || {
        let mut throttle = Throttle::new(2, 8);
        run(&mut throttle, 10, saturating(8));
        assert_eq!(throttle.now(), 8);
        throttle
    };
    let fine = alive(8.0, 8);
    let decide = |sample: Sample| settled().decide(&sample);
    assert_eq!(decide(fine), 8);
    assert_eq!(
        decide(Sample {
            failures: 1,
            ..fine
        }),
        7
    );
    assert_eq!(
        decide(Sample {
            failures: 9,
            ..fine
        }),
        5
    );
    assert_eq!(
        decide(Sample {
            latency: 2.5,
            ..fine
        }),
        7
    );
    assert_eq!(
        decide(Sample {
            disk: Some(45.0),
            ..fine
        }),
        7
    );
    assert_eq!(
        decide(Sample {
            disk: Some(5.0),
            ..fine
        }),
        8
    );
    let mut throttle = settled();
    let bad = Sample {
        failures: 9,
        ..fine
    };
    let numbers = run(&mut throttle, 5, |_, _| bad);
    assert_eq!((numbers[4], throttle.now()), (2, 2));
}

#[test]
fn a_warm_disk_is_not_given_more() {
    let mut throttle = Throttle::new(1, 8);
    let warm = |number, i| Sample {
        disk: Some(25.0),
        ..saturating(8)(number, i)
    };
    assert!(
        run(&mut throttle, 50, warm)
            .iter()
            .all(|&number| number <= 2)
    );
}

#[test]
fn bounds_are_kept() {
    assert_eq!(Throttle::new(3, 3).now(), 3);
    let mut one = Throttle::new(1, 1);
    assert!(
        run(&mut one, 50, saturating(8))
            .iter()
            .all(|&number| number == 1)
    );
    let bad = Sample {
        failures: 2,
        ..Sample::default()
    };
    assert_eq!(one.decide(&bad), 1);
    let mut throttle = Throttle::new(3, 5);
    assert!(
        run(&mut throttle, 200, saturating(1))
            .iter()
            .all(|&n| (3..=5).contains(&n))
    );
}

#[test]
fn pressure_is_read_as_linux_writes_it() {
    let text = "some avg10=3.51 avg60=2.00 avg300=2.27 total=4703\nfull avg10=1.25 avg60=0.12 avg300=0.10 total=1\n";
    assert_eq!(disk_pressure(text), Some(1.25));
    assert_eq!(disk_pressure(""), None);
    assert_eq!(disk_pressure("full avg10=x"), None);
}
