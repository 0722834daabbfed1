//! Several judges' verdicts on one response as one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Scored;
use crate::statistics::{mean, median};

/// How numbers are put together; words and flags always go by majority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combination {
    /// The middle one.
    #[default]
    Majority,
    /// The mean.
    Mean,
}

/// What the judges say together: each field by majority or mean of those who scored.
///
/// Errors: why there is no verdict: fewer than half of the judges scored, or they are evenly split on a field that
/// decides.
pub fn combine(judges: &[Scored], combination: Combination) -> Scored {
    if let [only] = judges {
        return only.clone();
    }
    let verdicts: Vec<&Value> = judges.iter().filter_map(|scored| scored.as_ref().ok()).collect();
    if verdicts.len() * 2 < judges.len() || verdicts.is_empty() {
        let reasons = judges.iter().filter_map(|scored| scored.as_ref().err());
        let reasons = reasons.map(String::as_str).collect::<Vec<_>>().join("; ");
        return Err(format!(
            "{} of {} judges scored: {reasons}",
            verdicts.len(),
            judges.len()
        ));
    }
    together(&verdicts, combination, "the verdict")
}

fn together(values: &[&Value], combination: Combination, name: &str) -> Scored {
    let numbers: Vec<f64> = values.iter().filter_map(|value| value.as_f64()).collect();
    if numbers.len() == values.len() {
        let number = match combination {
            Combination::Majority => median(&numbers),
            Combination::Mean => mean(&numbers),
        };
        return Ok(json!(number));
    }
    let objects: Vec<&Map<String, Value>> = values.iter().filter_map(|value| value.as_object()).collect();
    if objects.len() * 2 > values.len() {
        let field = |name: &String| {
            let of_all: Vec<&Value> = objects.iter().filter_map(|object| object.get(name)).collect();
            Ok((name.clone(), together(&of_all, combination, &format!("`{name}`"))?))
        };
        let fields = objects[0].keys().map(field).collect::<Result<_, String>>()?;
        return Ok(Value::Object(fields));
    }
    let lists: Vec<&Vec<Value>> = values.iter().filter_map(|value| value.as_array()).collect();
    if lists.len() == values.len() {
        return Ok(faults(&lists));
    }
    majority(values).ok_or_else(|| format!("the judges are evenly split on {name}"))
}

/// The list of the first judge among those of the majority: who finds a fault, or who finds none. Evenly split, there is
/// a fault.
fn faults(lists: &[&Vec<Value>]) -> Value {
    let finders = lists.iter().filter(|list| !list.is_empty()).count();
    let is_found = finders * 2 >= lists.len() && finders > 0;
    let chosen = lists.iter().find(|list| list.is_empty() != is_found);
    chosen.map_or_else(|| json!([]), |list| json!(list))
}

/// The value that more say than any other.
fn majority(values: &[&Value]) -> Option<Value> {
    let votes = |value: &Value| values.iter().filter(|other| **other == value).count();
    let most = values.iter().map(|value| votes(value)).max()?;
    let mut winners = values.iter().filter(|value| votes(value) == most);
    let winner = *winners.next()?;
    winners.all(|other| *other == winner).then(|| winner.clone())
}
