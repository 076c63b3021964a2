//! Cgroups that systemd makes: a transient unit for each container (org.freedesktop.systemd1(5), "StartTransientUnit").
//!
//! The unit's name says where its cgroup will be, so everything is on record before it is asked for. A scope takes
//! processes that are there: init is cloned first, waits, and is moved once, by systemd, into its cgroup. From then on
//! the cgroup is delegated to us, limits and device rules are known to systemd too, and a reload undoes neither.

mod bus;
mod keeper;
mod message;
mod new_unit;
mod properties;
mod unit;
mod value;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bus::{Bus, Refusal};
pub use bus::{Realm, is_ours_to_ask};
pub use keeper::Keeper;
use message::{Call, Message};
pub use new_unit::NewUnit;
pub use unit::{Property, Slice, Unit, UnitName};
use value::Reader;
pub use value::Value;

use super::{DeviceFilter, Limits};
use crate::error::{Context, Error, Result};
use crate::kernel::signals::Signals;
use crate::warning::warn;

/// How long systemd may take to start or stop a unit.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a unit is asked for that exists already: the container of that name may just have ended.
const ATTEMPTS: u32 = 5;

/// systemd, on the other end of a connection.
#[derive(Debug)]
pub struct Systemd {
    bus: Bus,
    realm: Realm,
    root: PathBuf,
}

/// What a container's unit is started with.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The unit.
    pub unit: &'a Unit,
    /// Its limits.
    pub limits: &'a Limits,
    /// Its device rules.
    pub devices: &'a DeviceFilter,
}

fn manager_call<'a>(method: &'a str, arguments: &'a [Value]) -> Call<'a> {
    Call {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        method,
        arguments,
    }
}

impl Systemd {
    /// Finds the systemd of the realm. `interrupts` are signals that end every wait for it.
    pub fn connect(realm: Realm, interrupts: Option<Signals>) -> Result<Systemd> {
        let bus = Bus::connect(realm, interrupts).context("--systemd-cgroup: reach systemd")?;
        let mut systemd = Systemd { bus, realm, root: PathBuf::from("/") };
        // A user's is somewhere in the machine's.
        if realm == Realm::User {
            systemd.root = systemd.control_group()?;
        }
        Ok(systemd)
    }

    /// Whose it is.
    pub fn realm(&self) -> Realm {
        self.realm
    }

    /// Its own cgroup, below which those of its units are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn control_group(&mut self) -> Result<PathBuf> {
        let root = self.told("ControlGroup")?;
        Ok(PathBuf::from(if root.is_empty() { "/" } else { &root }))
    }

    /// What it tells of itself: a property that is a text.
    fn told(&mut self, property: &str) -> Result<String> {
        let arguments =
            [Value::string("org.freedesktop.systemd1.Manager"), Value::string(property)];
        let get = Call {
            interface: "org.freedesktop.DBus.Properties",
            ..manager_call("Get", &arguments)
        };
        let call = || format!("Get({property})");
        let body = self.bus.call(&get)?.map_err(|refusal| explain(&call(), &refusal))?;
        let mut reader = Reader::new(&body);
        let text = reader.signature().filter(|of| *of == "s").and_then(|_| reader.string());
        let text = text
            .ok_or_else(|| Error::new(format!("systemd's answer is not a string: {}", call())))?;
        Ok(text.to_owned())
    }

    /// The limits as properties that this systemd knows.
    fn limits(&mut self, limits: &Limits) -> Result<Vec<Property>> {
        let mut wanted = properties::of_limits(limits);
        if wanted.iter().any(properties::is_idle) {
            let version = self.told("Version")?;
            if release(&version).is_none_or(|release| release < properties::FIRST_WITH_IDLE) {
                warn(format!(
                    "linux.resources.cpu.idle: systemd {version} does not know it, and may undo it when it reloads; systemd {} does",
                    properties::FIRST_WITH_IDLE
                ));
                wanted.retain(|property| !properties::is_idle(property));
            }
        }
        Ok(wanted)
    }

    /// Asks for the unit to be started around the process `pid`.
    fn ask(&mut self, order: Order<'_>, pid: i32) -> Result<Job> {
        let name = order.unit.name.as_str();
        let policy = match order.unit.name {
            UnitName::Scope(_) => properties::oom_policy(order.limits),
            UnitName::Slice(_) => None,
        };
        let has_policy = policy.is_some();
        let wanted = self.properties(order, pid, policy)?;
        let mut answer = self.start_transient(name, wanted)?;
        // Scopes have it since systemd 253. The kernel's file is written all the same.
        if has_policy && answer.as_ref().is_err_and(|refusal| refusal.text.contains("OOMPolicy")) {
            let wanted = self.properties(order, pid, None)?;
            answer = self.start_transient(name, wanted)?;
        }
        let exists = answer.as_ref().is_err_and(|refusal| refusal.is("UnitExists"));
        Job::of(answer, "StartTransientUnit").map_err(|error| {
            if exists {
                error.hint(format!("see what it is: systemctl status {name}"))
            } else {
                error
            }
        })
    }

    /// systemd's answer to `StartTransientUnit`. A unit of that name that has failed is cleared away, one that is about to
    /// vanish is waited for.
    fn start_transient(
        &mut self,
        name: &str,
        properties: Vec<Property>,
    ) -> Result<Result<Vec<u8>, Refusal>> {
        let arguments = [
            Value::string(name),
            Value::string("replace"),
            pairs(properties),
            Value::array("(sa(sv))", []),
        ];
        let call = manager_call("StartTransientUnit", &arguments);
        let mut pause = Duration::from_millis(10);
        for _ in 1..ATTEMPTS {
            match self.bus.call(&call)? {
                Err(refusal) if refusal.is("UnitExists") => self.reset_failed(name)?,
                answer => return Ok(answer),
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        self.bus.call(&call)
    }

    fn properties(
        &mut self,
        order: Order<'_>,
        pid: i32,
        oom_policy: Option<Property>,
    ) -> Result<Vec<Property>> {
        let Order { unit, limits, devices } = order;
        let yes = |name| Property::new(name, Value::Bool(true));
        let mut wanted = vec![
            Property::new("Description", Value::string(&*unit.description)),
            Property::new("DefaultDependencies", Value::Bool(false)),
            // What has failed (an oom kill is a failure) goes by itself once it is empty.
            Property::new("CollectMode", Value::string("inactive-or-failed")),
        ];
        wanted.extend(
            ["CPUAccounting", "MemoryAccounting", "TasksAccounting", "IOAccounting"].map(yes),
        );
        match &unit.name {
            UnitName::Scope(_) => {
                wanted.push(Property::new("Slice", Value::string(unit.slice.as_str())));
                wanted.push(yes("Delegate"));
                wanted.push(Property::new(
                    "PIDs",
                    Value::array("u", [Value::Uint32(process_id(pid)?)]),
                ));
            }
            UnitName::Slice(_) => {
                let above = Value::array("s", [Value::string(unit.slice.as_str())]);
                wanted.push(Property::new("Wants", above));
            }
        }
        wanted.extend(self.limits(limits)?);
        wanted.extend(oom_policy);
        // A user's systemd may not load device programs.
        if self.realm == Realm::System {
            wanted.extend(properties::of_devices(devices));
        }
        wanted.extend(unit.properties.iter().cloned());
        Ok(wanted)
    }

    /// Tells systemd of other limits for a unit that is there; they last as long as the unit.
    pub fn change(&mut self, unit: &str, limits: &Limits) -> Result<()> {
        let wanted = self.limits(limits)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let arguments = [Value::string(unit), Value::Bool(true), pairs(wanted)];
        let answer = self.bus.call(&manager_call("SetUnitProperties", &arguments))?;
        answer.map(drop).map_err(|refusal| explain("SetUnitProperties", &refusal))
    }

    /// Moves the process `pid` into the unit's cgroup, or into the one `below` it.
    fn attach(&mut self, unit: &str, below: &Path, pid: i32) -> Result<()> {
        let below = Path::new("/").join(below);
        let pids = Value::array("u", [Value::Uint32(process_id(pid)?)]);
        let arguments = [Value::string(unit), Value::string(below.to_string_lossy()), pids];
        let answer = self.bus.call(&manager_call("AttachProcessesToUnit", &arguments))?;
        answer.map(drop).map_err(|refusal| explain("AttachProcessesToUnit", &refusal))
    }

    /// Stops the unit, and waits until systemd has let go of it; one that isn't there is no error.
    pub fn stop(&mut self, unit: &str) -> Result<()> {
        let arguments = [Value::string(unit), Value::string("replace")];
        let stopped = match self.bus.call(&manager_call("StopUnit", &arguments))? {
            Err(refusal) if refusal.is("NoSuchUnit") => Ok(()),
            answer => Job::of(answer, "StopUnit").and_then(|job| self.wait_for(&job, unit)),
        };
        let stopped = stopped.and_then(|()| self.reset_failed(unit));
        stopped.with_context(|| format!("have systemd stop {unit}"))
    }

    /// Clears a failure away; a unit that isn't there has none.
    fn reset_failed(&mut self, unit: &str) -> Result<()> {
        let arguments = [Value::string(unit)];
        match self.bus.call(&manager_call("ResetFailedUnit", &arguments))? {
            Err(refusal) if !refusal.is("NoSuchUnit") => Err(explain("ResetFailedUnit", &refusal)),
            _ => Ok(()),
        }
    }

    /// Waits until a job is done (`JobRemoved(number, job, unit, result)`).
    fn wait_for(&mut self, job: &Job, unit: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let signal = self.bus.next_signal(deadline)?;
            let Some(result) = job.result_in(&signal) else { continue };
            if result == "done" {
                return Ok(());
            }
            // It would stand in the way of the next attempt.
            let _ = self.reset_failed(unit);
            return Err(Error::new(format!("systemd's job for {unit} ended with {result:?}"))
                .hint(format!("the journal says why: journalctl -u {unit}")));
        }
    }
}

/// The number of the release in a version such as `252.19-1~deb12u1` or `v255`.
fn release(version: &str) -> Option<u32> {
    let version = version.trim_start_matches('v');
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Something that systemd has taken on, by its object's path.
#[derive(Debug, PartialEq, Eq)]
struct Job(String);

impl Job {
    /// The job that an answer to `method` names.
    fn of(answer: Result<Vec<u8>, Refusal>, method: &str) -> Result<Job> {
        let body = answer.map_err(|refusal| explain(method, &refusal))?;
        let path = Reader::new(&body).string();
        let path =
            path.ok_or_else(|| Error::new(format!("systemd's answer to {method} names no job")))?;
        Ok(Job(path.to_owned()))
    }

    /// How it ended, where the signal is of its end.
    fn result_in<'s>(&self, signal: &'s Message) -> Option<&'s str> {
        if signal.member != "JobRemoved" {
            return None;
        }
        let mut reader = Reader::new(&signal.body);
        let _number = reader.uint32()?;
        let job = reader.string()?;
        let _unit = reader.string()?;
        reader.string().filter(|_| job == self.0)
    }
}

impl Refusal {
    /// Whether it is one of systemd's own, by the end of its name.
    fn is(&self, name: &str) -> bool {
        self.name.strip_prefix("org.freedesktop.systemd1.") == Some(name)
    }
}

/// As the bus takes it.
fn process_id(pid: i32) -> Result<u32> {
    u32::try_from(pid).map_err(|_| Error::new(format!("{pid} is not a valid process id")))
}

fn explain(method: &str, refusal: &Refusal) -> Error {
    Error::new(format!("{method}(): {} ({})", refusal.text, refusal.name))
}

/// Properties as the bus takes them: `a(sv)`.
fn pairs(properties: Vec<Property>) -> Value {
    let pair = |Property { name, value }| {
        Value::Struct(vec![Value::String(name), Value::Variant(Box::new(value))])
    };
    Value::array("(sv)", properties.into_iter().map(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_begins_with_the_release() {
        let versions = ["252.19-1~deb12u1", "v255", "249", "257~rc1", "devel"];
        assert_eq!(versions.map(release), [Some(252), Some(255), Some(249), Some(257), None]);
    }
}
