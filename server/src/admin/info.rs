//! What the server says of itself.

use serde_json::{Value, json};

use super::{Admin, Answer, fault, json as answer};
use crate::answer::Refusal;

impl Admin {
    /// State, contents and drive of this server, in the shape that `mc admin info` reads.
    pub(super) async fn server_info(&self) -> Result<Answer, Refusal> {
        let (mut buckets, mut objects, mut bytes) = (0_u64, 0_u64, 0_u64);
        let mut after = None;
        loop {
            let page = self.store.list_buckets("", after.as_deref(), 1000).await;
            let page = page.map_err(|failed| fault::store(&failed))?;
            for bucket in page.buckets {
                // One that was deleted just now holds nothing.
                let Ok(usage) = self.store.usage(&bucket.name).await else { continue };
                buckets = buckets.saturating_add(1);
                objects = objects.saturating_add(usage.objects);
                bytes = bytes.saturating_add(usage.bytes);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let endpoint = self.place.listen.to_string();
        answer(&json!({
            "mode": "online",
            "region": self.region,
            "deploymentID": "",
            "buckets": { "count": buckets },
            "objects": { "count": objects },
            "versions": { "count": 0 },
            "deletemarkers": { "count": 0 },
            "usage": { "size": bytes },
            "services": {},
            "backend": {
                "backendType": "Erasure",
                "onlineDisks": 1,
                "offlineDisks": 0,
                "standardSCParity": 0,
                "rrSCParity": 0,
                "totalSets": [1],
                "totalDrivesPerSet": [1],
            },
            "servers": [{
                "state": "online",
                "endpoint": endpoint,
                "scheme": "https",
                "uptime": self.started.elapsed().as_secs(),
                "version": env!("CARGO_PKG_VERSION"),
                "commitID": "",
                "network": { &endpoint: "online" },
                "drives": [self.drive()],
                "poolNumber": 1,
                "poolNumbers": [1],
                "num_cpu": std::thread::available_parallelism().map_or(1, usize::from),
            }],
            "pools": { "0": { "0": {
                "id": 0,
                "usage": bytes,
                "objectsCount": objects,
                "versionsCount": 0,
                "deleteMarkersCount": 0,
                "healDisks": 0,
            } } },
        }))
    }

    /// The file system that the data folder is on.
    fn drive(&self) -> Value {
        let path = self.place.data.display().to_string();
        let mut drive = json!({
            "endpoint": path,
            "path": path,
            "state": "ok",
            "local": true,
            "pool_index": 0,
            "set_index": 0,
            "disk_index": 0,
        });
        match (rustix::fs::statvfs(&self.place.data), &mut drive) {
            (Ok(system), Value::Object(members)) => {
                let size = |blocks: u64| blocks.saturating_mul(system.f_frsize);
                let (total, free) = (size(system.f_blocks), size(system.f_bavail));
                let used = total.saturating_sub(size(system.f_bfree));
                let inodes = system.f_files.saturating_sub(system.f_ffree);
                for (name, value) in [
                    ("totalspace", total),
                    ("usedspace", used),
                    ("availspace", free),
                    ("used_inodes", inodes),
                    ("free_inodes", system.f_ffree),
                ] {
                    members.insert(name.to_owned(), value.into());
                }
            }
            (Err(_), Value::Object(members)) => {
                members.insert("state".to_owned(), "unknown".into());
            }
            (_, _) => {}
        }
        drive
    }
}
