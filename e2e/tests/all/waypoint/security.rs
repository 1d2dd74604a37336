//! Who may ask what: policies on methods and paths, and tokens of whoever asks.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sandbox::app::echo::{Answer, Ask};
use serde_json::{Value, json};

use super::{CLIENT, Shop, get, journey, seen};
use crate::Journey;

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
        shop.answered_with(&by("DELETE", "/admin"), 200).map(drop)
    })
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

fn tokens() -> Result<()> {
    journey("wp-tokens", |shop| {
        let (signer, other) = (Signer::new()?, Signer::new()?);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        let claims = json!({"iss": "issuer.example", "sub": "ann", "aud": ["books"], "exp": now + 600,
            "groups": ["readers"]});
        shop.apply(&format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: tokens, namespace: shop}}\nspec:\n  \
             targetRefs: [{{kind: Service, group: \"\", name: echo}}]\n  jwtRules:\n  - issuer: issuer.example\n    \
             audiences: [books]\n    jwks: '{}'\n    outputClaimToHeaders: [{{header: x-sub, claim: sub}}]\n",
            signer.key_set
        ))?;
        let with = |change: fn(&mut Value, u64)| {
            let mut changed = claims.clone();
            change(&mut changed, now);
            changed
        };
        let good = signer.token(&claims)?;
        let bad = [
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
