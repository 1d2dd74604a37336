//! Who may ask what: policies on methods and paths, and tokens of whoever asks.

use std::net::IpAddr;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::app::text;
use e2e::expect::eventually;
use e2e::world::PATIENCE;
use sandbox::app::echo::{Answer, Ask, Seen};
use serde_json::{Value, json};

use super::{CLIENT, Shop, get, journey, seen};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 3] = [
    (
        "waypoint_a_policy_on_a_service_decides_by_method_path_and_caller",
        policies,
    ),
    (
        "waypoint_a_service_that_wants_tokens_admits_good_ones_only",
        tokens,
    ),
    (
        "waypoint_a_pod_s_own_address_goes_through_a_waypoint_for_all_and_is_judged_there",
        workloads,
    ),
];

fn policy(name: &str, action: &str, rules: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
         targetRefs: [{{kind: Service, group: \"\", name: echo}}]\n  action: {action}\n  rules:\n{rules}"
    )
}

fn refused(it: &Answer) -> bool {
    it.status == 403 && it.body.trim_end() == "RBAC: access denied"
}

fn by(method: &str, path: &str) -> Ask {
    let mut ask = get(path);
    ask.method = method.to_owned();
    ask
}

fn policies() -> Result<()> {
    journey("wp-policies", |shop| {
        shop.answered_with(&get("/"), 200)?;
        let deny = "  - to: [{operation: {methods: [DELETE]}}]\n  - to: [{operation: {paths: [/admin, \"/admin/*\"]}}]\n";
        shop.apply(&policy("deny", "DENY", deny))?;
        for ask in [
            by("DELETE", "/"),
            get("/admin"),
            get("/admin/x?y"),
            // The path is made uniform before it is looked at.
            get("/x/../admin"),
            get("/%61dmin"),
            get("//../admin"),
        ] {
            let what = format!("{} {} is refused", ask.method, ask.url);
            shop.becomes(CLIENT, &ask, &what, refused)?;
        }
        for ask in [
            get("/"),
            by("POST", "/"),
            get("/administer"),
            get("/x?y=/admin"),
        ] {
            shop.answered_with(&ask, 200)?;
        }
        // Who asks is known from its certificate, however it gets here.
        let allow = "  - from: [{source: {principals: [cluster.local/ns/shop/sa/client]}}]\n    \
                     to: [{operation: {methods: [GET]}}]\n";
        shop.apply(&policy("allow", "ALLOW", allow))?;
        shop.becomes(CLIENT, &by("POST", "/"), "only GET is allowed", refused)?;
        shop.answered_with(&get("/"), 200)?;
        let stranger = Ask::get("http://echo.shop/");
        shop.becomes("town/stranger", &stranger, "a stranger is refused", refused)?;
        let forged = stranger.with(
            "x-forwarded-client-cert",
            "URI=spiffe://cluster.local/ns/shop/sa/client",
        );
        shop.becomes(
            "town/stranger",
            &forged,
            "whatever it says of itself",
            refused,
        )?;
        shop.delete("AuthorizationPolicy", "allow")?;
        shop.delete("AuthorizationPolicy", "deny")?;
        shop.answered_with(&by("DELETE", "/admin"), 200)?;
        reported(shop)?;
        judged(shop)
    })
}

/// What only reports decides nothing, and is in the log.
fn reported(shop: &Shop) -> Result<()> {
    let rule = "  - to: [{operation: {paths: [/noted]}}]\n";
    shop.apply(&policy("audit", "AUDIT", rule))?;
    let dry = policy("dry", "DENY", rule).replace(
        "namespace: shop}",
        "namespace: shop, annotations: {istio.io/dry-run: \"true\"}}",
    );
    shop.apply(&dry)?;
    eventually("both report", PATIENCE, || {
        let answers = shop.answers(CLIENT, &get("/noted"))?;
        ensure(answers.iter().all(|it| it.status == 200), || {
            format!("{answers:?}")
        })?;
        let mut log = String::new();
        for waypoint in shop.world.sandbox.status()?.waypoints {
            for (_, file) in waypoint.pods {
                log += &std::fs::read_to_string(file)?;
            }
        }
        let mut reports = log.lines().filter(|it| it.contains("policy reports"));
        let is_there = ["shop/audit", "shop/dry"].iter().all(|name| {
            reports
                .by_ref()
                .any(|it| it.contains(name) && it.contains("/noted"))
        });
        Ok(is_there.then_some(()))
    })?;
    shop.delete("AuthorizationPolicy", "audit")?;
    shop.delete("AuthorizationPolicy", "dry")
}

/// A server that decides, `judge`, as these lines of a provider say, about some paths of the service.
pub(super) fn authorizers(provider: &str) -> String {
    let custom = policy(
        "judged",
        "CUSTOM",
        "  - to: [{operation: {paths: [\"/judged*\"]}}]\n",
    );
    let custom = custom.replace(
        "action: CUSTOM",
        "action: CUSTOM\n  provider: {name: judge}",
    );
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: weft-system}}\ndata:\n  mesh: |\n    \
         extensionProviders:\n    - name: judge\n      {provider}\n---\n{custom}"
    )
}

/// Another server decides, over HTTP; and what holds when there is none.
fn judged(shop: &Shop) -> Result<()> {
    shop.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: judge, namespace: shop}\nspec:\n  selector: {app: client}\n  \
         ports: [{name: http, port: 80, targetPort: 8080}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: gone, namespace: shop}\nspec:\n  selector: {app: gone}\n  \
         ports: [{name: http, port: 80, targetPort: 8080}]\n",
    )?;
    let over_http = |service: &str, rest: &str| {
        authorizers(&format!(
            "envoyExtAuthzHttp: {{service: {service}.shop.svc.cluster.local, port: 80, pathPrefix: /asked, \
             headersToUpstreamOnAllow: [x-checked], headersToDownstreamOnDeny: [x-why]{rest}}}"
        ))
    };
    shop.apply(&over_http("judge", ""))?;
    // The words of the path are for the server that is asked.
    let no = get("/judged/status/401/header/x-why/because");
    shop.becomes(CLIENT, &no, "it refuses, and says why", |it| {
        it.status == 401
            && it.header("x-why") == Some("because")
            && seen(it).is_ok_and(|seen| {
                seen.version == "client" && seen.path.starts_with("/asked/judged/")
            })
    })?;
    let yes = get("/judged/header/x-checked/yes");
    shop.becomes(CLIENT, &yes, "it admits, with a header", |it| {
        let checked = |seen: Seen| seen.headers.get("x-checked").cloned();
        it.status == 200 && seen(it).is_ok_and(|it| checked(it).as_deref() == Some("yes"))
    })?;
    shop.apply(&over_http("gone", ", statusOnError: \"503\""))?;
    shop.answered_with(&get("/judged"), 503)?;
    shop.answered_with(&get("/else"), 200)?;
    shop.apply(&over_http("gone", ", failOpen: true"))?;
    shop.answered_with(&get("/judged"), 200).map(drop)
}

fn workloads() -> Result<()> {
    journey("wp-workloads", |shop| {
        let gateway = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
                       metadata: {name: gate, namespace: shop, labels: {istio.io/waypoint-for: all}}\n\
                       spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}\n";
        let deny = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: gate, namespace: shop}\n\
                    spec:\n  targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}]\n  action: DENY\n  \
                    rules: [{to: [{operation: {paths: [/secret]}}]}]\n";
        let pod = std::net::SocketAddr::new(shop.world.address("shop/v1")?, 8080);
        let at = |path: &str| Ask::get(&format!("http://{pod}{path}"));
        shop.apply(deny)?;
        shop.becomes(CLIENT, &get("/secret"), "the service's is refused", refused)?;
        shop.answered_with(&at("/secret"), 200)?;
        shop.apply(gateway)?;
        shop.becomes(CLIENT, &at("/secret"), "the pod's is refused", refused)?;
        shop.answered_by(&at("/"), "v1").map(drop)
    })
}

/// A signer of tokens, and its public key set.
struct Signer {
    key: jsonwebtoken::EncodingKey,
    key_set: Value,
}

impl Signer {
    fn new() -> Result<Self> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let public = pair.public_key_raw().to_vec();
        let coordinate =
            |from: usize| URL_SAFE_NO_PAD.encode(public.get(from..from + 32).unwrap_or_default());
        let key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k",
            "x": coordinate(1), "y": coordinate(33)});
        Ok(Self {
            key: jsonwebtoken::EncodingKey::from_ec_der(&pair.serialize_der()),
            key_set: json!({"keys": [key]}),
        })
    }

    fn token(&self, claims: &Value) -> Result<String> {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some("k".to_owned());
        Ok(jsonwebtoken::encode(&header, claims, &self.key)?)
    }
}

fn bearing(token: &str) -> Ask {
    get("/").with("authorization", &format!("Bearer {token}"))
}

/// An issuer whose keys are to be fetched from a server outside of the mesh.
struct Far {
    signer: Signer,
    _server: sandbox::sandbox::Running,
}

/// Starts one; the address of its keys comes with it.
fn far_issuer(shop: &Shop) -> Result<(Far, String)> {
    let signer = Signer::new()?;
    let nodes = shop.world.sandbox.status()?.nodes;
    let node = nodes.into_iter().find(|it| it.name == "node-2");
    let address = node.and_then(|it| it.addresses.into_iter().find(IpAddr::is_ipv4));
    let address = address.context("node-2 has no address")?;
    let keys = signer.key_set.to_string();
    let server = shop.world.run_on("node-2", &["text", &keys])?;
    let far = Far {
        signer,
        _server: server,
    };
    Ok((far, format!("http://{address}:{}/keys", text::PORT)))
}

/// Tokens of one issuer by its keys, and of another by where its keys are.
fn authentication(signer: &Signer, keys: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: tokens, namespace: shop}}\nspec:\n  \
             targetRefs: [{{kind: Service, group: \"\", name: echo}}]\n  jwtRules:\n  - issuer: issuer.example\n    \
             audiences: [books]\n    jwks: '{}'\n    outputClaimToHeaders: [{{header: x-sub, claim: sub}}]\n  \
             - issuer: far.example\n    jwksUri: {keys}\n",
        signer.key_set
    )
}

fn tokens() -> Result<()> {
    journey("wp-tokens", |shop| {
        let (signer, other) = (Signer::new()?, Signer::new()?);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        let claims = json!({"iss": "issuer.example", "sub": "ann", "aud": ["books"], "exp": now + 600,
            "groups": ["readers"]});
        let (far, keys) = far_issuer(shop)?;
        shop.apply(&authentication(&signer, &keys))?;
        let with = |change: fn(&mut Value, u64)| {
            let mut changed = claims.clone();
            change(&mut changed, now);
            changed
        };
        let good = signer.token(&claims)?;
        let from_far = with(|it, _| it["iss"] = json!("far.example"));
        let bad = [
            ("a far issuer's, by somebody else", signer.token(&from_far)?),
            ("another's signature", other.token(&claims)?),
            (
                "no longer valid",
                signer.token(&with(|it, now| it["exp"] = json!(now - 600)))?,
            ),
            (
                "another issuer's",
                signer.token(&with(|it, _| it["iss"] = json!("else.example")))?,
            ),
            ("no token", "not.a.token".to_owned()),
            ("changed", good.replacen('.', ".e30", 1)),
        ];
        for (what, token) in &bad {
            shop.becomes(CLIENT, &bearing(token), what, |it| it.status == 401)?;
        }
        let elsewhere = signer.token(&with(|it, _| it["aud"] = json!(["cars"])))?;
        shop.becomes(CLIENT, &bearing(&elsewhere), "for somebody else", |it| {
            it.status == 403
        })?;
        shop.becomes(CLIENT, &bearing(&good), "a good token", |it| {
            it.status == 200
                && seen(it).is_ok_and(|seen| {
                    seen.headers.get("x-sub").is_some_and(|it| it == "ann")
                        && !seen.headers.contains_key("authorization")
                })
        })?;
        let fetched = bearing(&far.signer.token(&from_far)?);
        shop.becomes(CLIENT, &fetched, "good by keys that are fetched", |it| {
            it.status == 200
        })?;
        // Without a policy, having none is no fault.
        shop.answered_with(&get("/"), 200)?;
        required(
            shop,
            &good,
            &signer.token(&with(|it, _| it["groups"] = json!(["writers"])))?,
        )
    })
}

/// With a policy that wants a principal and a claim.
fn required(shop: &Shop, good: &str, writer: &str) -> Result<()> {
    let rule = "  - from: [{source: {requestPrincipals: [issuer.example/ann]}}]\n    \
                when: [{key: \"request.auth.claims[groups]\", values: [readers]}]\n";
    shop.apply(&policy("require", "ALLOW", rule))?;
    shop.becomes(CLIENT, &get("/"), "no token", refused)?;
    shop.becomes(CLIENT, &bearing(writer), "another claim", refused)?;
    shop.answered_with(&bearing(good), 200).map(drop)
}
