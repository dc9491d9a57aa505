#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A program asks for a network interface that is not there, and the script request-route of the
# examples brings it up, with a route. Many who ask share one run of it; a script that needs the
# interface itself is a loop; rules count.
#
# Debug: --full
# Needs: CONFIG_DUMMY

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 17

ASKERS=20
CONFIG=/etc/modprobe.d/request-route.conf
ROUTES=/etc/kmod-rs/routes
mkdir -p "$ROUTES" /etc/modprobe.d

# link NAME: prints whether the interface is up, or the error.
link() {
	/kmod_rs/keep link "$1" 2>&1 | sed 's/.*: //'
}

# asked N: true if that many requests for vpn0 are in flight.
asked() {
	(($(grep -c 'name="netdev-vpn0"' "$RECORDS/inflight") == $1))
}

# A daemon that may set up the network, and load no modules.
as_daemon() {
	setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all,+net_admin \
		--inh-caps=-all,+net_admin --ambient-caps=+net_admin "$@"
}

patch on
is "without the line" "$(link vpn0)" "No such device"
is "there is a request" "$(recent | field name '/netdev/' | tail -n 1)" '"netdev-vpn0"'

# The script, behind a gate.
printf '#!/bin/bash\necho run >>/tmp/runs\nflock /tmp/gate true\nexec /kmod_rs/examples/request-route vpn0\n' >/tmp/behind
chmod +x /tmp/behind
sed 's|/usr/local/sbin/request-route vpn0|/tmp/behind|' /kmod_rs/examples/request-route.conf >"$CONFIG"
printf '%s\n' '# A test.' 'kind dummy' 'address 192.0.2.1/32' 'route 198.51.100.0/24' >"$ROUTES/vpn0"
: >/tmp/runs
before=$(stat_of requests)
is "an ordinary user gets no interface, and makes no request" \
	"$(as_nobody /kmod_rs/keep link vpn0 2>&1) $(stat_of requests)" "keep: vpn0: No such device $before"
close_gate
for ((i = 0; i < ASKERS; i++)); do
	/kmod_rs/keep link vpn0 >"/tmp/link.$i" 2>&1 9>&- &
done
holds "$ASKERS ask" await asked "$ASKERS"
open_gate
for ((i = 0; i < ASKERS; i++)); do
	await test -s "/tmp/link.$i"
done
is "all of them find it" "$(cat /tmp/link.* | sort | uniq -c | xargs)" "$ASKERS up"
is "one helper has made it" "$(wc -l </tmp/runs)" 1
is "with its route" "$(ip route show dev vpn0 | grep -o '198.51.100.0/24')" 198.51.100.0/24
is "and its address" "$(ip -o -4 address show dev vpn0 | grep -o '192.0.2.1/32')" 192.0.2.1/32
is "who asked is known" "$(recent | grep 'name="netdev-vpn0".*outcome=\(loaded\|nothing\|shared\)' | field comm | sort | uniq -c | xargs)" "$ASKERS keep"
before=$(stat_of requests)
is "now it is there" "$(link vpn0) $(stat_of requests)" "up $before"
ip link delete vpn0

# A script that needs the interface itself.
echo 'install netdev-vpn1 /kmod_rs/keep link vpn1' >>"$CONFIG"
is "a loop is stopped" \
	"$(link vpn1), $(log | grep -c 'runaway modprobe loop assumed and stopped: netdev-vpn1 -> netdev-vpn1 -> netdev-vpn1 (keep')" \
	"No such device, 1"

# A script that fails.
echo 'install netdev-vpn2 /kmod_rs/examples/request-route vpn2' >>"$CONFIG"
printf '%s\n' 'kind dummy' 'address nowhere' >"$ROUTES/vpn2"
is "a script that fails leaves nothing" \
	"$(link vpn2), $(ls -d /sys/class/net/vpn2 2>/dev/null)" "No such device, "
holds "and says so" logged 'request-route: vpn2: cannot be brought up'

# A daemon that may only set up the network.
sed -i 's|/tmp/behind|/kmod_rs/examples/request-route vpn0|' "$CONFIG"
set_rule autoload_deny 'netdev-*'
is "a daemon is denied" "$(as_daemon /kmod_rs/keep link vpn0 2>&1)" "keep: vpn0: No such device"
is "by the rule" "$(verdict)" "denied autoload_deny netdev-*"
set_rule autoload_deny ''
is "without it" "$(as_daemon /kmod_rs/keep link vpn0 2>&1)" up
is "he is known" "$(recent | grep 'name="netdev-vpn0"' | field uid | tail -n 1)" 65534
ip link delete vpn0
rm -rf /etc/kmod-rs "$CONFIG" /tmp/link.* /tmp/runs /tmp/behind
finish
