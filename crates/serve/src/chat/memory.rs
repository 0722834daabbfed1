//! How much memory is left on this machine, as far as the system says.
//!
//! Ours rather than `sysinfo`, which counts a control group's file cache as taken and the pages of mapped weights as
//! free: the first would leave no memory beside a model that was just read, the second would promise its weights' own.

use std::path::{Path, PathBuf};

/// Bytes that may still be filled with what no file holds: the system's and the control group's (version 2) reserve
/// without the weights that are mapped, which need their pages, though they count as available. None where the system
/// says nothing, as outside Linux.
pub fn available() -> Option<usize> {
    let of_system = line_in_bytes(&read("/proc/meminfo")?, "MemAvailable:")?;
    let of_group = of_group(Path::new("/sys/fs/cgroup"), &read("/proc/self/cgroup").unwrap_or_default());
    let left = of_group.map_or(of_system, |of_group| of_group.min(of_system));
    Some(left.saturating_sub(mapped_weights(&read("/proc/self/maps")?)))
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs_err::read_to_string(path.as_ref()).ok()
}

/// A line of `/proc/meminfo`, in bytes.
fn line_in_bytes(meminfo: &str, name: &str) -> Option<usize> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: usize = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

/// What the limit of this process' control group, or of one around it, leaves.
fn of_group(root: &Path, membership: &str) -> Option<usize> {
    let group = membership.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let innermost: PathBuf = root.join(group);
    let groups = innermost.ancestors().take_while(|group| group.starts_with(root));
    groups.filter_map(left_in).min()
}

fn left_in(group: &Path) -> Option<usize> {
    // `max` where there is no limit.
    let limit: usize = read(group.join("memory.max"))?.trim().parse().ok()?;
    let stat = read(group.join("memory.stat"))?;
    let anonymous = stat.lines().find_map(|line| line.strip_prefix("anon "))?;
    Some(limit.saturating_sub(anonymous.trim().parse().ok()?))
}

/// Bytes of weights' files in a list of mappings like `/proc/self/maps`.
fn mapped_weights(maps: &str) -> usize {
    let lines = maps.lines().filter(|line| line.ends_with(".safetensors"));
    lines.filter_map(mapped_length).sum()
}

fn mapped_length(line: &str) -> Option<usize> {
    let (first, last) = line.split_whitespace().next()?.split_once('-')?;
    let [first, last] = [first, last].map(|address| usize::from_str_radix(address, 16).ok());
    last?.checked_sub(first?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_group_counts() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("outer/inner");
        fs_err::create_dir_all(&inner).unwrap();
        for (group, limit) in [(folder.path().join("outer"), "3000\n"), (inner.clone(), "max\n")] {
            fs_err::write(group.join("memory.max"), limit).unwrap();
            fs_err::write(group.join("memory.stat"), "anon 1000\nfile 5000\n").unwrap();
        }
        assert_eq!(of_group(folder.path(), "1:cpu:/x\n0::/outer/inner\n"), Some(2000));
        fs_err::write(inner.join("memory.max"), "500\n").unwrap();
        assert_eq!(of_group(folder.path(), "0::/outer/inner\n"), Some(0));
        assert_eq!(of_group(folder.path(), "0::/\n"), None);
        assert_eq!(of_group(folder.path(), "4:memory:/x\n"), None);
    }

    #[test]
    fn weights_that_are_mapped_are_found() {
        let maps = "7f0000000000-7f0000003000 r--p 00000000 08:01 12 /m/model-00001-of-00002.safetensors\n\
                    7f0000003000-7f0000004000 r-xp 00000000 08:01 13 /lib/libc.so\n\
                    7f0000008000-7f0000009000 r--p 00000000 08:01 14 /a b/model.safetensors\n\
                    7f0000009000-7f000000a000 rw-p 00000000 00:00 0\n";
        assert_eq!(mapped_weights(maps), 0x4000);
        assert_eq!(line_in_bytes("MemTotal: 9 kB\nMemAvailable:   12 kB\n", "MemAvailable:"), Some(12 << 10));
    }
}
