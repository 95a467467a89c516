//! Positions on the earth, destination zones and the distance between them.

use serde::{Deserialize, Serialize};

/// A position in millionths of a degree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Latitude, −90 000 000 to 90 000 000.
    pub lat_udeg: i32,
    /// Longitude, −180 000 000 to 180 000 000.
    pub lon_udeg: i32,
}

impl Position {
    /// A position of decimal degrees; `None` where they are off the globe or no numbers.
    #[must_use]
    pub fn from_degrees(lat: f64, lon: f64) -> Option<Self> {
        let on_globe = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
        on_globe.then(|| Self { lat_udeg: (lat * 1e6).round() as i32, lon_udeg: (lon * 1e6).round() as i32 })
    }

    /// Whether both coordinates are on the globe.
    #[must_use]
    pub fn is_valid(self) -> bool {
        self.lat_udeg.unsigned_abs() <= 90_000_000 && self.lon_udeg.unsigned_abs() <= 180_000_000
    }

    /// The zone this position lies in.
    #[must_use]
    pub fn zone(self) -> Zone {
        Zone {
            row: self.lat_udeg.div_euclid(ZONE_UDEG) as i16,
            column: self.lon_udeg.div_euclid(ZONE_UDEG) as i16,
        }
    }

    /// Great-circle distance in whole miles (haversine, mean earth radius 3 958.7613 miles), rounded to nearest.
    #[must_use]
    pub fn miles_to(self, other: Self) -> u32 {
        const EARTH_RADIUS_MILES: f64 = 3_958.761_3;
        let radians = |udeg: i32| f64::from(udeg) * 1e-6 * std::f64::consts::PI / 180.0;
        let (lat_a, lat_b) = (radians(self.lat_udeg), radians(other.lat_udeg));
        let half_lat = ((lat_b - lat_a) / 2.0).sin();
        let half_lon = ((radians(other.lon_udeg) - radians(self.lon_udeg)) / 2.0).sin();
        let a = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lon * half_lon;
        (2.0 * EARTH_RADIUS_MILES * a.sqrt().min(1.0).asin()).round() as u32
    }
}

/// Side of a destination zone: a quarter of a degree, some 17 miles north to south.
pub const ZONE_UDEG: i32 = 250_000;

/// A destination zone: the geographic cell of [`ZONE_UDEG`] that holds a position. Distances of lanes are
/// counted from its centre, so all addresses in a zone share one price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Zone {
    /// Row north of the equator.
    pub row: i16,
    /// Column east of Greenwich.
    pub column: i16,
}

impl Zone {
    /// The middle of the zone.
    #[must_use]
    pub fn centre(self) -> Position {
        let middle = |index: i16| i32::from(index) * ZONE_UDEG + ZONE_UDEG / 2;
        Position { lat_udeg: middle(self.row), lon_udeg: middle(self.column) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_from_chicago_to_dallas_is_known() {
        let chicago = Position::from_degrees(41.8781, -87.6298).unwrap();
        let dallas = Position::from_degrees(32.7767, -96.7970).unwrap();
        assert!((800..=807).contains(&chicago.miles_to(dallas)));
        assert_eq!(chicago.miles_to(dallas), dallas.miles_to(chicago));
    }

    #[test]
    fn a_position_lies_within_a_quarter_degree_of_its_zone() {
        for (lat, lon) in [(41.88, -87.63), (-33.86, 151.2), (0.0, 0.0), (-0.1, -0.1)] {
            let position = Position::from_degrees(lat, lon).unwrap();
            let centre = position.zone().centre();
            assert!((centre.lat_udeg - position.lat_udeg).abs() <= ZONE_UDEG / 2);
            assert!((centre.lon_udeg - position.lon_udeg).abs() <= ZONE_UDEG / 2);
        }
    }

    #[test]
    fn degrees_off_the_globe_are_no_position() {
        assert_eq!(Position::from_degrees(90.1, 0.0), None);
        assert_eq!(Position::from_degrees(f64::NAN, 0.0), None);
    }
}
