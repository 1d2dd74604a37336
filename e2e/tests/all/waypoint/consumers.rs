//! Routes of the client's own namespace: they hold for its clients alone.

use anyhow::Result;
use sandbox::app::echo::{Answer, Ask};

use super::{CLIENT, GENERATION, journey};
use crate::Journey;

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "waypoint_a_consumer_s_route_holds_for_clients_of_its_namespace_and_stands_against_the_producer_s",
    consumers,
)];

/// A route of a namespace that marks answers of the shop's service.
fn marking(namespace: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: mark, namespace: {namespace}, generation: {GENERATION}}}\n\
         spec:\n  parentRefs:\n  - {{group: \"\", kind: Service, name: echo, namespace: shop, port: 80}}\n  rules:\n  \
         - filters:\n    - type: ResponseHeaderModifier\n      responseHeaderModifier:\n        set:\n        \
         - {{name: x-marked-by, value: {namespace}}}\n    backendRefs:\n    - {{name: echo, namespace: shop, port: 80}}\n"
    )
}

fn consumers() -> Result<()> {
    journey("wp-consumers", |shop| {
        let ask = Ask::get("http://echo.shop/");
        let marked = |by: Option<&'static str>| {
            move |it: &Answer| it.status == 200 && it.header("x-marked-by") == by
        };
        shop.apply(&marking("town"))?;
        shop.becomes(
            "town/stranger",
            &ask,
            "the consumer's route holds",
            marked(Some("town")),
        )?;
        shop.becomes(CLIENT, &ask, "it holds for nobody else", marked(None))?;
        shop.route_of_is_accepted("town", "httproutes", "mark")?;
        shop.apply(&marking("shop"))?;
        shop.becomes(
            CLIENT,
            &ask,
            "the producer's route holds",
            marked(Some("shop")),
        )?;
        shop.becomes(
            "town/stranger",
            &ask,
            "not for the consumer",
            marked(Some("town")),
        )?;
        shop.world.sandbox.delete("HTTPRoute", "town", "mark")?;
        shop.becomes(
            "town/stranger",
            &ask,
            "but for it too",
            marked(Some("shop")),
        )?;
        Ok(())
    })
}
