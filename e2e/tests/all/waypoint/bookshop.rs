//! The sample book shop: its routes as HTTPRoutes and as VirtualServices give the same answers to the same questions.

use anyhow::Result;
use sandbox::app::echo::{Answer, Ask, Seen};

use super::filters::counted;
use super::weights::counts_of;
use super::{Shop, journey_at};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "waypoint_the_book_shop_answers_alike_with_gateway_api_routes_and_with_virtual_services",
    bookshop,
)];

const READER: &str = "bookshop/reader";
const SHOP: &str = include_str!("../../../../docs/samples/bookshop/shop.yaml");
const GATEWAY_API: &str = include_str!("../../../../docs/samples/bookshop/routes-gateway-api.yaml");
const ISTIO: &str = include_str!("../../../../docs/samples/bookshop/routes-istio.yaml");

/// What is compared of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    status: u16,
    location: Option<String>,
    served_by: Option<String>,
    version: Option<String>,
    path: Option<String>,
    shelf: Option<String>,
    secret: Option<String>,
    grpc_status: Option<u32>,
}

impl Told {
    fn of(answer: &Answer) -> Self {
        let text = answer.messages.first().unwrap_or(&answer.body);
        let seen: Option<Seen> = serde_json::from_str(text).ok();
        let header = |name: &str| seen.as_ref()?.headers.get(name).cloned();
        Self {
            status: answer.status,
            location: answer.header("location").map(str::to_owned),
            served_by: answer.header("x-served-by").map(str::to_owned),
            version: seen.as_ref().map(|it| it.version.clone()),
            path: seen.as_ref().map(|it| it.path.clone()),
            shelf: header("x-shelf"),
            secret: header("x-secret"),
            grpc_status: answer.grpc_status(),
        }
    }
}

/// The questions; the mark keeps paths whose failures are counted apart.
fn questions(mark: &str) -> Vec<Ask> {
    let get = |url: &str| Ask::get(&format!("http://{url}"));
    let mut post = get("reviews/write");
    post.method = "POST".to_owned();
    vec![
        get("catalogue/books/1").with("x-reader", "early"),
        get("catalogue/old?x=1"),
        get("catalogue/shelf/7?x=1")
            .with("x-secret", "s")
            .with("x-shelf", "no"),
        get("catalogue/bookshelf"),
        get("catalogue/"),
        get("reviews/slow/delay/5s"),
        get("reviews/slow/quick"),
        get(&format!("reviews/again/fail/2/{mark}")),
        get("reviews/again/status/503"),
        post,
        get("reviews/?format=new"),
        get("reviews/?format=old"),
        get("payments/anything"),
        get("payments/status/418"),
        Ask::call("http://stock/weft.echo.Echo/Count", "books"),
        Ask::call("http://stock/weft.echo.Echo/Order", "books"),
    ]
}

fn bookshop() -> Result<()> {
    journey_at("wp-bookshop", SHOP, |shop| {
        shop.apply(GATEWAY_API)?;
        let with_gateway_api = told(shop, "gateway-api")?;
        for (kind, name) in [
            ("HTTPRoute", "catalogue"),
            ("HTTPRoute", "reviews"),
            ("GRPCRoute", "stock"),
        ] {
            shop.world.sandbox.delete(kind, "bookshop", name)?;
        }
        shop.becomes(
            READER,
            &Ask::get("http://catalogue/"),
            "no route is left",
            |it| it.status == 200,
        )?;
        shop.apply(ISTIO)?;
        let with_istio = told(shop, "istio")?;
        for (one, other) in with_gateway_api.iter().zip(&with_istio) {
            let (mut one, mut other) = (one.clone(), other.clone());
            // The mark is part of the path.
            if one
                .path
                .as_ref()
                .is_some_and(|path| path.contains("/fail/"))
            {
                (one.path, other.path) = (None, None);
            }
            ensure(one == other, || format!("{one:?} became {other:?}"))?;
        }
        Ok(())
    })
}

/// Waits until the routes hold, then asks everything.
fn told(shop: &Shop, mark: &str) -> Result<Vec<Told>> {
    shop.becomes(
        READER,
        &Ask::get("http://catalogue/"),
        "the catalogue's routes hold",
        |it| it.status == 404,
    )?;
    shop.becomes(
        READER,
        &Ask::get("http://reviews/"),
        "the reviews' routes hold",
        |it| it.status == 404,
    )?;
    let call = Ask::call("http://stock/weft.echo.Echo/Count", "books");
    shop.becomes(READER, &call, "the stock's routes hold", |it| {
        Told::of(it).version.as_deref() == Some("v2")
    })?;
    let mut told = Vec::new();
    for ask in questions(mark) {
        told.extend(shop.answers(READER, &ask)?.iter().map(Told::of));
    }
    expected(&told)?;
    // Shares, and what is mirrored.
    let books = counts_of(&shop.answers(READER, &Ask::get("http://catalogue/books").times(500))?);
    let early = books.get("v2").copied().unwrap_or_default();
    ensure((25..=75).contains(&early) && books.len() == 2, || {
        format!("{books:?}")
    })?;
    let path = format!("/read/{mark}");
    let read = Ask::get(&format!("http://reviews{path}"));
    let by = counts_of(&shop.answers(READER, &read.times(10))?);
    ensure(by.get("v1") == Some(&10), || format!("{by:?}"))?;
    let pods = shop.world.sandbox.status()?.pods;
    let mirror = pods
        .into_iter()
        .find(|it| it.pod.name.starts_with("reviews-v2-"));
    let mirror = mirror.map(|it| it.pod.to_string()).unwrap_or_default();
    e2e::expect::eventually("the mirror saw them all", e2e::world::PATIENCE, || {
        Ok((counted(shop, READER, &mirror, &path)? == 10).then_some(()))
    })?;
    Ok(told)
}

/// What everybody expects of the answers, whatever the form of the routes.
fn expected(told: &[Told]) -> Result<()> {
    let statuses: Vec<u16> = told.iter().map(|it| it.status).collect();
    let wanted = [
        200, 301, 200, 404, 404, 504, 200, 200, 503, 200, 200, 404, 200, 418, 200, 200,
    ];
    ensure(statuses == wanted, || {
        format!("{statuses:?}, not {wanted:?}")
    })?;
    let version = |index: usize| told.get(index).and_then(|it| it.version.clone());
    for (index, wanted) in [
        (0, "v2"),
        (2, "v1"),
        (9, "v2"),
        (10, "v2"),
        (14, "v2"),
        (15, "v1"),
    ] {
        ensure(version(index).as_deref() == Some(wanted), || {
            format!("{:?}", told.get(index))
        })?;
    }
    let moved = told.get(1).and_then(|it| it.location.clone());
    ensure(
        moved.as_deref() == Some("https://books.example/new?x=1"),
        || format!("{moved:?}"),
    )?;
    let shelf = told.get(2);
    let is_right = shelf.is_some_and(|it| {
        it.path.as_deref() == Some("/page/7?x=1")
            && it.shelf.as_deref() == Some("yes")
            && it.secret.is_none()
            && it.served_by.as_deref() == Some("bookshop")
    });
    ensure(is_right, || format!("{shelf:?}"))
}
