//! Checks of fields, each ending in the refusal that stands first.

use std::collections::{HashMap, HashSet};

use earmark_protocol::catalogue::POSTAL_LEN_MAX;
use earmark_protocol::command::{Delivery, Order, SellerLines, VALUE_MAX};
use earmark_protocol::ids::{
    HoldClass, LineId, Money, NodeIx, QUANTITY_MAX, Segment, SkuIx, Tenant, TimestampMs,
};
use earmark_protocol::kit::Component;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use crate::Reader;
use crate::catalogue::Node;
use crate::rules::Rules;

/// Collects refusals and keeps the one that stands first: the lowest number, then the earliest place in the list.
#[derive(Default)]
pub(crate) struct First(Option<Refusal>);

impl First {
    pub(crate) fn consider(&mut self, refusal: Refusal) {
        let stand = |refusal: Refusal| (refusal.code, refusal.index, refusal.field);
        if self.0.is_none_or(|first| stand(refusal) < stand(first)) {
            self.0 = Some(refusal);
        }
    }

    /// Takes the value of a check, or considers its refusal.
    pub(crate) fn take<T>(&mut self, checked: Result<T, Refusal>) -> Option<T> {
        checked.map_err(|refusal| self.consider(refusal)).ok()
    }

    pub(crate) fn done(self) -> Result<(), Refusal> {
        self.0.map_or(Ok(()), Err)
    }
}

/// A list must have elements, and no more than the limit.
pub(crate) fn list_len(rules: &Rules, len: usize, field: Field) -> Result<(), Refusal> {
    if len == 0 {
        return Err(Refusal::of(RefusalCode::EmptyList, field));
    }
    list_limit(rules, len, field)
}

/// A list must have no more elements than the limit.
pub(crate) fn list_limit(rules: &Rules, len: usize, field: Field) -> Result<(), Refusal> {
    if len > rules.lines_max as usize {
        return Err(Refusal::of(RefusalCode::ListTooLong, field).detail(i64::from(rules.lines_max)));
    }
    Ok(())
}

/// A quantity must be between 1 and the limit.
pub(crate) fn quantity(quantity: u32) -> Result<(), Refusal> {
    match quantity {
        0 => Err(Refusal::of(RefusalCode::QuantityZero, Field::Quantity)),
        1..=QUANTITY_MAX => Ok(()),
        _ => Err(too_large()),
    }
}

/// A quantity, or a sum, over the limit.
pub(crate) fn too_large() -> Refusal {
    Refusal::of(RefusalCode::QuantityTooLarge, Field::Quantity).detail(i64::from(QUANTITY_MAX))
}

/// A segment must be below its limit.
pub(crate) fn segment(segment: Segment) -> Result<(), Refusal> {
    if segment.0 < Segment::LIMIT {
        Ok(())
    } else {
        Err(Refusal::of(RefusalCode::UnknownSegment, Field::Segment))
    }
}

/// A sku must be the tenant's.
pub(crate) fn sku(reader: &Reader, tenant: Tenant, sku: SkuIx) -> Result<crate::SkuFacts, Refusal> {
    reader.own_sku(tenant, sku).ok_or(Refusal::of(RefusalCode::UnknownSku, Field::Sku))
}

/// When a hold of this class and lifetime expires.
pub(crate) fn deadline(
    rules: &Rules,
    now: TimestampMs,
    class: HoldClass,
    lifetime_ms: u32,
) -> Result<TimestampMs, Refusal> {
    let class = rules
        .classes
        .get(usize::from(class.0))
        .ok_or(Refusal::of(RefusalCode::UnknownClass, Field::Class))?;
    if lifetime_ms > class.lifetime_ms_max {
        let limit = i64::from(class.lifetime_ms_max);
        return Err(Refusal::of(RefusalCode::LifetimeOutOfBounds, Field::Lifetime).detail(limit));
    }
    let lifetime_ms = if lifetime_ms == 0 { class.lifetime_ms } else { lifetime_ms };
    Ok(now.plus_ms(u64::from(lifetime_ms)))
}

/// Checks an order before it is planned: all that can be said of it without looking at stock.
///
/// # Errors
/// The refusal that stands first.
pub fn check_order(reader: &Reader, tenant: Tenant, order: &Order) -> Result<(), Refusal> {
    let mut first = First::default();
    let rules = reader.rules();
    let nodes = reader.nodes();
    let unknown_node = |node: NodeIx| nodes.get(tenant, node).is_none();
    first.take(list_limit(rules, order.nodes.len(), Field::Nodes));
    if rules.channels.get(usize::from(order.channel.0)).is_none() {
        first.consider(Refusal::of(RefusalCode::UnknownChannel, Field::Channel));
    }
    match &order.delivery {
        Delivery::Ship { position, postal, .. } => {
            if !position.is_valid() {
                first.consider(Refusal::of(RefusalCode::PositionInvalid, Field::Delivery));
            }
            if postal.len() > POSTAL_LEN_MAX || postal.chars().any(char::is_control) {
                let refusal = Refusal::of(RefusalCode::TextTooLong, Field::Delivery);
                first.consider(refusal.detail(POSTAL_LEN_MAX as i64));
            }
        }
        Delivery::Pickup { node } | Delivery::ToStore { node } => {
            if unknown_node(*node) {
                first.consider(Refusal::of(RefusalCode::UnknownNode, Field::Delivery));
            }
        }
    }
    for (index, node) in order.nodes.iter().enumerate().take(rules.lines_max as usize) {
        if unknown_node(*node) {
            first.consider(Refusal::of(RefusalCode::UnknownNode, Field::Nodes).at(index));
        }
    }
    let goods = Goods {
        components: |at| sku(reader, tenant, at).map(|_| nodes.kits.get(at)),
        is_seller: |seller: &str| {
            let is_own = |node: &Node| node.tenant == tenant && node.spec.seller == seller;
            nodes.nodes.iter().any(is_own)
        },
    };
    consider_lines(rules, order, &goods, &mut first);
    first.done()
}

/// What is sold, and by whom, wherever that is kept.
pub struct Goods<C, S> {
    /// What a sku is put together of, where it is a kit; or why there is no such sku.
    pub components: C,
    /// Whether a node is of this seller.
    pub is_seller: S,
}

/// Checks what an order says of itself and its lines, as [`check_order`] does.
///
/// # Errors
/// The refusal that stands first.
pub fn check_lines<'a>(
    rules: &Rules,
    order: &Order,
    goods: &Goods<impl Fn(SkuIx) -> Result<Option<&'a [Component]>, Refusal>, impl Fn(&str) -> bool>,
) -> Result<(), Refusal> {
    let mut first = First::default();
    consider_lines(rules, order, goods, &mut first);
    first.done()
}

fn consider_lines<'a>(
    rules: &Rules,
    order: &Order,
    goods: &Goods<impl Fn(SkuIx) -> Result<Option<&'a [Component]>, Refusal>, impl Fn(&str) -> bool>,
    first: &mut First,
) {
    first.take(list_len(rules, order.lines.len(), Field::Line));
    if order.value.is_some_and(|value| !(Money(0)..=VALUE_MAX).contains(&value)) {
        first.consider(Refusal::of(RefusalCode::QuantityTooLarge, Field::Value).detail(VALUE_MAX.0));
    }
    let mut parts = 0;
    let lines_max = order.lines.len().min(rules.lines_max as usize);
    let mut seen = HashSet::with_capacity(lines_max);
    let mut sums: HashMap<SkuIx, u64> = HashMap::with_capacity(lines_max);
    for (index, line) in order.lines.iter().enumerate().take(rules.lines_max as usize) {
        if !seen.insert(line.line) {
            first.consider(Refusal::of(RefusalCode::LineTwice, Field::Line).at(index));
        }
        first.take(quantity(line.quantity).map_err(|refusal| refusal.at(index)));
        let itself = [Component { sku: line.sku, quantity: 1 }];
        let kit = first.take((goods.components)(line.sku).map_err(|refusal| refusal.at(index)));
        let components = kit.flatten().unwrap_or(&itself);
        parts += components.len();
        for component in components {
            let sum = sums.entry(component.sku).or_default();
            *sum = sum.saturating_add(u64::from(line.quantity) * u64::from(component.quantity));
            if *sum > u64::from(QUANTITY_MAX) {
                first.consider(too_large().at(index));
            }
        }
    }
    first.take(list_limit(rules, parts, Field::Component));
    if !order.substitutable.is_empty() {
        check_substitutable(rules, order, |sku| kit_of(goods, sku).is_some(), first);
    }
    if !order.sellers.is_empty() {
        check_sellers(rules, order, |sku| kit_of(goods, sku), &goods.is_seller, first);
    }
}

fn kit_of<'a, S>(
    goods: &Goods<impl Fn(SkuIx) -> Result<Option<&'a [Component]>, Refusal>, S>,
    sku: SkuIx,
) -> Option<&'a [Component]> {
    (goods.components)(sku).ok().flatten()
}

/// Checks of which lines substitutes may be sent: lines of the order, and none of a kit.
fn check_substitutable(rules: &Rules, order: &Order, is_kit: impl Fn(SkuIx) -> bool, first: &mut First) {
    first.take(list_limit(rules, order.substitutable.len(), Field::Substitute));
    let known: HashMap<LineId, SkuIx> = order.lines.iter().map(|line| (line.line, line.sku)).collect();
    let mut seen = HashSet::new();
    for (index, line) in order.substitutable.iter().enumerate().take(rules.lines_max as usize) {
        let mut refuse = |code| first.consider(Refusal::of(code, Field::Substitute).at(index));
        match known.get(line) {
            None => refuse(RefusalCode::UnknownLine),
            Some(sku) if is_kit(*sku) => refuse(RefusalCode::SkuIsKit),
            Some(_) => {}
        }
        if !seen.insert(*line) {
            refuse(RefusalCode::LineTwice);
        }
    }
}

/// Checks whose lines are whose.
fn check_sellers<'a>(
    rules: &Rules,
    order: &Order,
    kit: impl Fn(SkuIx) -> Option<&'a [Component]>,
    is_seller: impl Fn(&str) -> bool,
    first: &mut First,
) {
    first.take(list_limit(rules, order.sellers.len(), Field::Seller));
    let known: HashSet<LineId> = order.lines.iter().map(|line| line.line).collect();
    let mut sellers: HashMap<LineId, usize> = HashMap::new();
    for (index, SellerLines { seller, lines }) in
        order.sellers.iter().enumerate().take(rules.lines_max as usize)
    {
        let mut refuse = |code| first.consider(Refusal::of(code, Field::Seller).at(index));
        if seller.is_empty() || !is_seller(seller) {
            refuse(RefusalCode::UnknownSeller);
        }
        for line in lines {
            if !known.contains(line) {
                refuse(RefusalCode::UnknownLine);
            } else if sellers.insert(*line, index).is_some() {
                refuse(RefusalCode::LineTwice);
            }
        }
    }
    let mut of_sku: HashMap<SkuIx, Option<&str>> = HashMap::new();
    for (index, line) in order.lines.iter().enumerate().take(rules.lines_max as usize) {
        let seller = sellers.get(&line.line).map(|at| order.sellers[*at].seller.as_str());
        let itself = [Component { sku: line.sku, quantity: 1 }];
        for component in kit(line.sku).unwrap_or(&itself) {
            if *of_sku.entry(component.sku).or_insert(seller) != seller {
                first.consider(Refusal::of(RefusalCode::SellersDiffer, Field::Line).at(index));
            }
        }
    }
}
