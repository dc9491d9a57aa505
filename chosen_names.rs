// SPDX-License-Identifier: GPL-2.0

//! Names that threads and workers of the kernel ask for, and that a user or a peer has chosen.
//!
//! Has no counterpart in the C code. Documentation/callers.rst says which callers these are, and how
//! they were found.

use kernel::prelude::*;

/// The prefix of the names that requests for algorithms have.
const ALGORITHM: &[u8] = b"crypto-";

/// How the names begin. A user or a peer chooses what follows.
const PREFIXES: [&[u8]; 8] = [
    // rnbd_server: the client sends the path of a device file.
    b"block-major-",
    // libceph: the monitors send the addresses of the servers, with their families.
    b"net-pf-",
    // nfs: the server says which layouts it has.
    b"nfs-layouttype4-",
    // nfs: the server sends the netids of its data servers, and the OIDs of its mechanisms.
    b"rpc",
    // snd_seq_oss: tries the numbers of all cards.
    b"snd-card-",
    // snd_seq_oss: tries the numbers of all clients.
    b"snd-seq-client-",
    // A terminal that is hung up gets the line discipline that its user has put into `c_line`.
    b"tty-ldisc-",
    // wire: the command that adds a slave has the slave's family.
    b"w1-family-",
];

/// Returns whether this is the name of an algorithm.
///
/// A user or a peer may have chosen it: that depends on who asks.
pub(crate) fn is_algorithm(name: &CStr) -> bool {
    name.to_bytes().starts_with(ALGORITHM)
}

/// Returns whether a user or a peer chooses this name when a thread or a worker of the kernel asks
/// for it.
pub(crate) fn is_chosen(name: &CStr) -> bool {
    PREFIXES
        .iter()
        .any(|prefix| name.to_bytes().starts_with(prefix))
}

#[kunit_tests(kmod_rs_chosen_names)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_table_are_chosen() -> Result {
        for name in [
            c"block-major-7",
            c"block-major-7-0",
            c"net-pf-21",
            c"nfs-layouttype4-3",
            c"rpcrdma",
            c"rpc-auth-gss-1.2.840.113554.1.2.2",
            c"snd-card-0",
            c"snd-seq-client-14",
            c"tty-ldisc-13",
            c"w1-family-0x10",
        ] {
            assert!(is_chosen(name));
            assert!(!is_algorithm(name));
        }
        Ok(())
    }

    #[test]
    fn others_are_not() -> Result {
        for name in [
            c"",
            c"snd-seq-midi",
            c"snd-hda-codec-generic",
            c"svcrdma",
            c"xrpcrdma",
            c"tty-ldisc",
            c"netdev-eth0",
            c"nf_log_syslog",
            c"mdio:00000000001000010100000000000000",
        ] {
            assert!(!is_chosen(name));
            assert!(!is_algorithm(name));
        }
        assert!(is_algorithm(c"crypto-gcm(aes)"));
        assert!(!is_chosen(c"crypto-gcm(aes)"));
        Ok(())
    }
}
