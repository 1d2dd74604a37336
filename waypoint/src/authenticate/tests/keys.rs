//! Keys that are fetched: in time, again when a token names a new one, and never too often.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::super::fetch::Direct;
use super::*;

/// Documents by address, and how often each was asked for.
#[derive(Default)]
struct Shelf {
    documents: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<String>>,
}

impl Shelf {
    fn put(&self, url: &str, text: String) {
        self.documents.lock().unwrap().insert(url.to_owned(), text);
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Fetch for Shelf {
    fn get<'a>(&'a self, url: &'a str) -> Task<'a, Result<Bytes, Error>> {
        self.asked.lock().unwrap().push(url.to_owned());
        let found = self.documents.lock().unwrap().get(url).cloned();
        Box::pin(async move {
            // As a network would, it lets others run.
            tokio::task::yield_now().await;
            found.map(Bytes::from).ok_or(Error::Nowhere)
        })
    }
}

const URL: &str = "https://issuer/keys";

fn by_url() -> JwtRule {
    rule(JwtKeys::Url(URL.into()))
}

async fn ask(authentication: &Authentication, issuer: &Issuer) -> Result<bool, Rejection> {
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let mut head = bearer(&issuer.token(&payload()));
    let token = authentication.check(&mut head, now).await?;
    Ok(token.is_some())
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_first_keys_and_all_others_find_them() {
    let (shelf, issuer) = (Arc::new(Shelf::default()), Issuer::new("k"));
    shelf.put(URL, issuer.set());
    let ring = KeyRing::new(shelf.clone(), Handle::current());
    let (one, two) = (
        Authentication::new(&[by_url()], &ring),
        Authentication::new(&[by_url()], &ring),
    );
    for authentication in [&one, &two, &one] {
        assert_eq!(ask(authentication, &issuer).await, Ok(true));
    }
    assert_eq!(shelf.count(), 1, "both share one source");
}

#[tokio::test(start_paused = true)]
async fn keys_are_found_by_discovery() {
    let (shelf, issuer) = (Arc::new(Shelf::default()), Issuer::new("k"));
    let at = "https://issuer/.well-known/openid-configuration";
    shelf.put(
        at,
        json!({"issuer": "https://issuer", "jwks_uri": "https://else/jwks"}).to_string(),
    );
    shelf.put("https://else/jwks", issuer.set());
    let ring = KeyRing::new(shelf.clone(), Handle::current());
    let authentication = Authentication::new(&[rule(JwtKeys::Discovery)], &ring);
    assert_eq!(ask(&authentication, &issuer).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_fetched_when_a_token_names_it_but_not_too_often() {
    let (shelf, old, new) = (
        Arc::new(Shelf::default()),
        Issuer::new("old"),
        Issuer::new("new"),
    );
    shelf.put(URL, old.set());
    let ring = KeyRing::new(shelf.clone(), Handle::current());
    let authentication = Authentication::new(&[by_url()], &ring);
    assert_eq!(ask(&authentication, &old).await, Ok(true));
    shelf.put(URL, new.set());
    for _ in 0..100 {
        assert_eq!(ask(&authentication, &new).await, Err(Rejection::UnknownKey));
    }
    assert_eq!(shelf.count(), 1, "too early for another fetch");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(ask(&authentication, &new).await, Ok(true));
    assert_eq!(shelf.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_by_the_clock_and_kept_while_they_cannot_be() {
    let (shelf, old, new) = (
        Arc::new(Shelf::default()),
        Issuer::new("k"),
        Issuer::new("k"),
    );
    shelf.put(URL, old.set());
    let ring = KeyRing::new(shelf.clone(), Handle::current());
    let authentication = Authentication::new(&[by_url()], &ring);
    assert_eq!(ask(&authentication, &old).await, Ok(true));
    shelf.documents.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(20 * 60 + 5)).await;
    assert!(shelf.count() > 2, "it is tried again soon after a failure");
    assert_eq!(
        ask(&authentication, &old).await,
        Ok(true),
        "the last good keys stay"
    );
    shelf.put(URL, new.set());
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(ask(&authentication, &new).await, Ok(true));
    assert_eq!(ask(&authentication, &old).await, Err(Rejection::Signature));
}

#[tokio::test(start_paused = true)]
async fn without_keys_tokens_are_refused_in_time_and_the_source_ends_with_its_last_holder() {
    let shelf = Arc::new(Shelf::default());
    let ring = KeyRing::new(shelf.clone(), Handle::current());
    let authentication = Authentication::new(&[by_url()], &ring);
    assert_eq!(
        ask(&authentication, &Issuer::new("k")).await,
        Err(Rejection::KeysMissing)
    );
    drop(authentication);
    let asked = shelf.count();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(shelf.count() <= asked + 1, "nobody asks any more");
}

/// Serves one document over plain HTTP on loopback.
async fn serve(path: &'static str, text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    task::spawn("key server", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let text = text.clone();
            let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
                let is_it = request.uri().path() == path;
                let status = if is_it { 200 } else { 404 };
                let body = Full::new(Bytes::from(text.clone()));
                let answer = ::http::Response::builder().status(status).body(body);
                async move { answer }
            });
            let http = hyper::server::conn::http1::Builder::new();
            task::spawn(
                "key server",
                http.serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    format!("http://{address}")
}

fn direct() -> Direct {
    Direct::new(mesh::tls::foreign::https(b"").unwrap())
}

#[tokio::test]
async fn keys_come_over_the_network() {
    let issuer = Issuer::new("k");
    let server = serve("/keys", issuer.set()).await;
    let ring = KeyRing::new(Arc::new(direct()), Handle::current());
    let good = rule(JwtKeys::Url(format!("{server}/keys").into()));
    let authentication = Authentication::new(&[good], &ring);
    assert_eq!(ask(&authentication, &issuer).await, Ok(true));
    let missing = direct().get(&format!("{server}/else")).await;
    assert!(matches!(missing, Err(Error::Status { .. })));
}

#[tokio::test]
async fn an_answer_without_end_and_addresses_that_are_none_are_refused() {
    let server = serve("/keys", "x".repeat(2 << 20)).await;
    let long = direct().get(&format!("{server}/keys")).await;
    assert!(matches!(long, Err(Error::Body(_))));
    for url in ["", "/keys", "ftp://a/b", "http//a"] {
        assert!(
            matches!(direct().get(url).await, Err(Error::Url(_))),
            "{url}"
        );
    }
    let nobody = direct().get("http://127.0.0.1:1/keys").await;
    assert!(matches!(nobody, Err(Error::Connect { .. })));
}
