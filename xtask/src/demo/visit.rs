//! What a visitor of the shop does, and which calls between the services follow from it: the ground truth.
//!
//! Shape: a number → a visit; a visit and the services that are there → the exact list of requests between them.
//! Every path ends in the visit's cart number, so a path belongs to one visit and to one call of it.
//! Invariant: within one visit no two calls share service and path.

/// The first cart's number: six digits, so that nothing else in a path looks like one.
const FIRST_CART: u64 = 100_000;
/// The product that is always sold out, and one that nobody knows.
const SOLD_OUT: u8 = 4;
const UNKNOWN: u8 = 9;

/// Ends of the calls.
const FRONTEND: &str = "frontend";
const PRODUCT: &str = "product";
const ORDER: &str = "order";
const INVENTORY: &str = "inventory";

/// One thing that a visitor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// The list of products.
    Catalogue,
    /// One product with its stock.
    Details,
    /// A product that does not exist: 404.
    Unknown,
    /// A slow answer.
    Search,
    /// A flaky answer: every third cart gets a 502, because product fails with 500.
    Recommendations,
    /// More pieces: the Go service calls the Python service.
    Restock,
    /// All four services.
    Checkout,
    /// A checkout that the inventory refuses: 409.
    SoldOut,
}

/// The mix: a busy shop, mostly looked at.
const MIX: [Errand; 16] = [
    Errand::Catalogue,
    Errand::Details,
    Errand::Checkout,
    Errand::Recommendations,
    Errand::Catalogue,
    Errand::Details,
    Errand::Restock,
    Errand::Checkout,
    Errand::Search,
    Errand::Recommendations,
    Errand::Unknown,
    Errand::Catalogue,
    Errand::Checkout,
    Errand::Details,
    Errand::SoldOut,
    Errand::Recommendations,
];

/// One errand with its own cart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    /// In the path of every request that follows from it.
    pub(super) cart: u64,
    /// What is done.
    pub(super) errand: Errand,
}

/// One request between two programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Index of the call during which this one is made; none if the visitor makes it.
    pub(super) during: Option<usize>,
    /// Who answers.
    pub(super) service: &'static str,
    /// Method.
    pub(super) method: &'static str,
    /// Path, cart included.
    pub(super) path: String,
    /// JSON, for a call that the visitor makes.
    pub(super) body: Option<String>,
    /// The status it must have; none if that depends on services that are not there.
    pub(super) status: Option<u16>,
}

impl Visit {
    /// The visit with this number.
    pub(super) fn number(number: u64) -> Visit {
        let at = usize::try_from(number).unwrap_or_default() % MIX.len();
        Visit { cart: FIRST_CART + number, errand: MIX.get(at).copied().unwrap_or(Errand::Catalogue) }
    }

    /// The requests it causes if only `present` services run. Those whose service is missing are not made; what the
    /// frontend would have called is called by the visitor when the frontend is missing.
    pub(super) fn calls(&self, present: &[&str]) -> Vec<Call> {
        let complete = [FRONTEND, PRODUCT, ORDER, INVENTORY].iter().all(|name| present.contains(name));
        let mut kept: Vec<Call> = Vec::new();
        // Where each call of the full list went, if it is made at all.
        let mut places: Vec<Option<usize>> = Vec::new();
        let mut refused = false;
        for mut call in self.all_calls() {
            let front = call.during == Some(0) && !present.contains(&FRONTEND);
            let during = call.during.and_then(|during| places.get(during).copied().flatten());
            // The frontend's calls are made in turn: after one that cannot be made there is no next.
            let reachable =
                call.during.is_none() || front || (during.is_some() && !(call.during == Some(0) && refused));
            let made = reachable && present.contains(&call.service);
            refused |= call.during == Some(0) && !made && !front;
            if made {
                call.during = during;
                call.status = call.status.filter(|_| complete);
                kept.push(call);
            }
            places.push(made.then(|| kept.len() - 1));
        }
        kept
    }

    fn all_calls(&self) -> Vec<Call> {
        let cart = self.cart;
        match self.errand {
            Errand::Catalogue => vec![
                get(None, FRONTEND, format!("/catalogue/{cart}"), 200),
                get(Some(0), PRODUCT, format!("/products/all/{cart}"), 200),
            ],
            Errand::Details => vec![
                get(None, FRONTEND, format!("/details/2/{cart}"), 200),
                get(Some(0), PRODUCT, format!("/products/2/{cart}"), 200),
                get(Some(1), INVENTORY, format!("/inventory/2/{cart}"), 200),
            ],
            Errand::Unknown => vec![
                get(None, FRONTEND, format!("/details/{UNKNOWN}/{cart}"), 404),
                get(Some(0), PRODUCT, format!("/products/{UNKNOWN}/{cart}"), 404),
            ],
            Errand::Search => vec![
                get(None, FRONTEND, format!("/search/{cart}"), 200),
                get(Some(0), PRODUCT, format!("/search/{cart}"), 200),
            ],
            Errand::Recommendations => {
                let (front, product) = if cart.is_multiple_of(3) { (502, 500) } else { (200, 200) };
                vec![
                    get(None, FRONTEND, format!("/recommendations/{cart}"), front),
                    get(Some(0), PRODUCT, format!("/recommendations/{cart}"), product),
                ]
            }
            Errand::Restock => vec![
                post(None, FRONTEND, format!("/restock/1/{cart}"), r#"{"quantity":2}"#.into(), 200),
                post(Some(0), INVENTORY, format!("/restock/1/{cart}"), r#"{"quantity":2}"#.into(), 200),
                get(Some(1), PRODUCT, format!("/costs/1/{cart}"), 200),
            ],
            Errand::Checkout => self.checkout(1, 201),
            Errand::SoldOut => self.checkout(SOLD_OUT, 409),
        }
    }

    fn checkout(&self, product: u8, status: u16) -> Vec<Call> {
        let cart = self.cart;
        let wanted = format!(r#"{{"product":{product},"quantity":1}}"#);
        let order = format!(r#"{{"product":{product},"quantity":1,"price":890}}"#);
        vec![
            post(None, FRONTEND, format!("/checkout/{cart}"), wanted, status),
            get(Some(0), PRODUCT, format!("/prices/{product}/{cart}"), 200),
            post(Some(0), ORDER, format!("/orders/{cart}"), order, status),
            get(Some(2), PRODUCT, format!("/weights/{product}/{cart}"), 200),
            post(
                Some(2),
                INVENTORY,
                format!("/reservations/{product}/{cart}"),
                r#"{"quantity":1}"#.into(),
                status,
            ),
        ]
    }
}

/// The cart that a path belongs to.
pub(super) fn cart_of(path: &str) -> Option<u64> {
    path.rsplit('/').next()?.parse().ok().filter(|cart| *cart >= FIRST_CART)
}

fn get(during: Option<usize>, service: &'static str, path: String, status: u16) -> Call {
    Call { during, service, method: "GET", path, body: None, status: Some(status) }
}

fn post(during: Option<usize>, service: &'static str, path: String, body: String, status: u16) -> Call {
    Call { during, service, method: "POST", path, body: Some(body), status: Some(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(errand: Errand, present: &[&str]) -> Vec<String> {
        let calls = Visit { cart: 100_007, errand }.calls(present);
        let line = |call: &Call| format!("{:?} {} {}", call.during, call.service, call.path);
        calls.iter().map(line).collect()
    }

    #[test]
    fn a_checkout_passes_all_four_services() {
        assert_eq!(
            shown(Errand::Checkout, &[FRONTEND, PRODUCT, ORDER, INVENTORY]),
            [
                "None frontend /checkout/100007",
                "Some(0) product /prices/1/100007",
                "Some(0) order /orders/100007",
                "Some(2) product /weights/1/100007",
                "Some(2) inventory /reservations/1/100007",
            ]
        );
    }

    #[test]
    fn a_missing_service_takes_the_calls_behind_it_along() {
        assert_eq!(
            shown(Errand::Checkout, &[FRONTEND, PRODUCT, INVENTORY]),
            ["None frontend /checkout/100007", "Some(0) product /prices/1/100007"]
        );
        assert_eq!(
            shown(Errand::Checkout, &[FRONTEND, ORDER, INVENTORY]),
            ["None frontend /checkout/100007"]
        );
    }

    #[test]
    fn without_the_frontend_the_visitor_calls_what_it_would_have_called() {
        assert_eq!(
            shown(Errand::Checkout, &[PRODUCT, ORDER, INVENTORY]),
            [
                "None product /prices/1/100007",
                "None order /orders/100007",
                "Some(1) product /weights/1/100007",
                "Some(1) inventory /reservations/1/100007",
            ]
        );
    }

    #[test]
    fn every_path_tells_its_cart_and_no_two_calls_of_a_visit_are_alike() {
        for number in 0..16 {
            let visit = Visit::number(number);
            let calls = visit.all_calls();
            for (at, call) in calls.iter().enumerate() {
                assert_eq!(cart_of(&call.path), Some(visit.cart));
                let alike =
                    calls.iter().filter(|other| (other.service, &other.path) == (call.service, &call.path));
                assert_eq!(alike.count(), 1, "{}: call {at}", call.path);
            }
        }
    }
}
