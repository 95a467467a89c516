//! Sixty US metropolitan areas: where they are, how many live there, which time zone they keep. Coordinates are
//! those of the core city, populations those of the 2020 census in thousands, rounded. Both are public.

/// A metropolitan area.
#[derive(Clone, Copy, Debug)]
pub struct Metro {
    /// Three letters, used in codes of nodes.
    pub code: &'static str,
    /// Latitude of the core city in degrees.
    pub lat: f64,
    /// Longitude of the core city in degrees.
    pub lon: f64,
    /// Inhabitants in thousands.
    pub thousands: u32,
    /// IANA time zone.
    pub time_zone: &'static str,
}

const fn metro(code: &'static str, lat: f64, lon: f64, thousands: u32, time_zone: &'static str) -> Metro {
    Metro { code, lat, lon, thousands, time_zone }
}

const EASTERN: &str = "America/New_York";
const CENTRAL: &str = "America/Chicago";
const MOUNTAIN: &str = "America/Denver";
const PACIFIC: &str = "America/Los_Angeles";

/// All of them, the largest first.
pub const METROS: [Metro; 60] = [
    metro("NYC", 40.7128, -74.0060, 20_140, EASTERN),
    metro("LAX", 34.0522, -118.2437, 13_201, PACIFIC),
    metro("CHI", 41.8781, -87.6298, 9_619, CENTRAL),
    metro("DFW", 32.7767, -96.7970, 7_637, CENTRAL),
    metro("HOU", 29.7604, -95.3698, 7_122, CENTRAL),
    metro("WAS", 38.9072, -77.0369, 6_385, EASTERN),
    metro("PHL", 39.9526, -75.1652, 6_245, EASTERN),
    metro("MIA", 25.7617, -80.1918, 6_138, EASTERN),
    metro("ATL", 33.7490, -84.3880, 6_090, EASTERN),
    metro("BOS", 42.3601, -71.0589, 4_942, EASTERN),
    metro("PHX", 33.4484, -112.0740, 4_846, "America/Phoenix"),
    metro("SFO", 37.7749, -122.4194, 4_749, PACIFIC),
    metro("RIV", 33.9806, -117.3755, 4_600, PACIFIC),
    metro("DET", 42.3314, -83.0458, 4_392, "America/Detroit"),
    metro("SEA", 47.6062, -122.3321, 4_019, PACIFIC),
    metro("MSP", 44.9778, -93.2650, 3_690, CENTRAL),
    metro("SAN", 32.7157, -117.1611, 3_299, PACIFIC),
    metro("TPA", 27.9506, -82.4572, 3_175, EASTERN),
    metro("DEN", 39.7392, -104.9903, 2_964, MOUNTAIN),
    metro("BWI", 39.2904, -76.6122, 2_845, EASTERN),
    metro("STL", 38.6270, -90.1994, 2_820, CENTRAL),
    metro("ORL", 28.5384, -81.3789, 2_673, EASTERN),
    metro("CLT", 35.2271, -80.8431, 2_660, EASTERN),
    metro("SAT", 29.4241, -98.4936, 2_558, CENTRAL),
    metro("PDX", 45.5152, -122.6784, 2_513, PACIFIC),
    metro("SAC", 38.5816, -121.4944, 2_397, PACIFIC),
    metro("PIT", 40.4406, -79.9959, 2_371, EASTERN),
    metro("AUS", 30.2672, -97.7431, 2_283, CENTRAL),
    metro("LAS", 36.1699, -115.1398, 2_265, PACIFIC),
    metro("CVG", 39.1031, -84.5120, 2_257, EASTERN),
    metro("MCI", 39.0997, -94.5786, 2_192, CENTRAL),
    metro("CMH", 39.9612, -82.9988, 2_139, EASTERN),
    metro("IND", 39.7684, -86.1581, 2_111, "America/Indiana/Indianapolis"),
    metro("CLE", 41.4993, -81.6944, 2_088, EASTERN),
    metro("SJC", 37.3382, -121.8863, 2_000, PACIFIC),
    metro("BNA", 36.1627, -86.7816, 1_990, CENTRAL),
    metro("ORF", 36.8508, -76.2859, 1_800, EASTERN),
    metro("PVD", 41.8240, -71.4128, 1_677, EASTERN),
    metro("JAX", 30.3322, -81.6557, 1_606, EASTERN),
    metro("MKE", 43.0389, -87.9065, 1_575, CENTRAL),
    metro("OKC", 35.4676, -97.5164, 1_426, CENTRAL),
    metro("RDU", 35.7796, -78.6382, 1_414, EASTERN),
    metro("MEM", 35.1495, -90.0490, 1_338, CENTRAL),
    metro("RIC", 37.5407, -77.4360, 1_314, EASTERN),
    metro("SDF", 38.2527, -85.7585, 1_286, "America/Kentucky/Louisville"),
    metro("MSY", 29.9511, -90.0715, 1_272, CENTRAL),
    metro("SLC", 40.7608, -111.8910, 1_258, MOUNTAIN),
    metro("BDL", 41.7658, -72.6734, 1_214, EASTERN),
    metro("BUF", 42.8864, -78.8784, 1_167, EASTERN),
    metro("BHM", 33.5186, -86.8104, 1_115, CENTRAL),
    metro("GRR", 42.9634, -85.6681, 1_087, "America/Detroit"),
    metro("ROC", 43.1566, -77.6088, 1_090, EASTERN),
    metro("TUS", 32.2226, -110.9747, 1_043, "America/Phoenix"),
    metro("FAT", 36.7378, -119.7871, 1_009, PACIFIC),
    metro("TUL", 36.1540, -95.9928, 1_015, CENTRAL),
    metro("OMA", 41.2565, -95.9345, 967, CENTRAL),
    metro("ABQ", 35.0844, -106.6504, 916, MOUNTAIN),
    metro("TYS", 35.9606, -83.9207, 879, EASTERN),
    metro("ELP", 31.7619, -106.4850, 869, "America/Denver"),
    metro("BOI", 43.6150, -116.2023, 765, "America/Boise"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use earmark_protocol::geo::Position;

    use super::*;

    #[test]
    fn metros_are_distinct_places_in_known_time_zones_within_the_states() {
        let codes: HashSet<_> = METROS.iter().map(|metro| metro.code).collect();
        assert_eq!(codes.len(), METROS.len());
        for metro in METROS {
            assert!(jiff::tz::TimeZone::get(metro.time_zone).is_ok(), "{}", metro.code);
            assert!(
                (24.0..50.0).contains(&metro.lat) && (-125.0..-66.0).contains(&metro.lon),
                "{}",
                metro.code
            );
            let here = Position::from_degrees(metro.lat, metro.lon).unwrap();
            for other in METROS.iter().filter(|other| other.code != metro.code) {
                let there = Position::from_degrees(other.lat, other.lon).unwrap();
                assert!(here.miles_to(there) >= 10, "{} and {}", metro.code, other.code);
            }
        }
    }
}
