#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Does what machines do again and again, in the guest, when the boot has ended. Prints
#
#   phase NAME T     what begins at this time, in seconds since boot
#   record ...       each request, as in debugfs
#   module T EVENT   a module has come (module_load) or gone (module_free)
#   end
#
# usage: guest.sh usual|without-ipv6

RULES='*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -m limit --limit 5/min -j LOG
-A INPUT -j REJECT
COMMIT'
TABLE='flush ruleset
table inet filter {
	chain input {
		type filter hook input priority 0; policy accept;
		ct state established,related accept
		tcp dport 22 accept
		limit rate 5/minute log
		reject
	}
}'

phase() {
	echo "phase $1 $(awk '$1 == "now" { printf "%.6f", $3 / 1e9 }' /proc/timer_list)"
}

times() {
	local i n=$1
	shift
	for ((i = 0; i < n; i++)); do "$@"; done >/dev/null 2>&1
}

# The collectors look for what they show at each scrape.
scrape() {
	exec 3<>/dev/tcp/127.0.0.1/9100
	printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
	cat <&3
	exec 3>&-
}

is_up() {
	(exec 3<>/dev/tcp/127.0.0.1/9100) 2>/dev/null
}

# Ten pairs of interfaces were there for containers, and have gone.
ask_for_gone_links() {
	local i
	for ((i = 0; i < 10; i++)); do /kmod_rs/keep link "veth$i"; done
}

# bash opens a socket for IPv6, and nobody listens there.
open_inet6() {
	exec 3<>/dev/tcp/::1/9
}

{
	systemctl is-system-running --wait
	udevadm settle
} >/dev/console
phase boot-has-ended
echo "$RULES" >/run/rules
echo "$TABLE" >/run/table
case $1 in
usual)
	systemctl start prometheus-node-exporter
	until is_up; do sleep 0.1; done
	phase node_exporter
	times 240 scrape
	systemctl stop prometheus-node-exporter
	phase ss
	times 100 ss -a
	phase iptables-restore
	times 100 iptables-restore /run/rules
	phase nft
	times 100 nft -f /run/table
	phase gone-links
	times 20 ask_for_gone_links
	;;
without-ipv6)
	phase af_inet6
	times 100 open_inet6
	;;
esac
phase end

sed 's/^/record /' /sys/kernel/debug/kmod_rs/recent
grep pushed_out /sys/kernel/debug/kmod_rs/stats
sed -nE 's/.* ([0-9]+\.[0-9]+): (module_(load|free)): .*/module \1 \2/p' /sys/kernel/tracing/trace
echo end
