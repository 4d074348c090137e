#!/bin/sh
# Brings the keys of media tokens to an edge: edge-keys.sh varnish|nginx EDGE_KEYS FILE
#
#   varnish  FILE for KEYS of varnish/edge.vcl, the keys as VCL; then load the VCL anew
#   nginx    FILE for KEYS of nginx/edge.conf, the keys as JSON; then nginx -s reload
#
# EDGE_KEYS is a copy of KEYS/edge-keys of Tutti, a line a key: since when, and the key. The last two are good. FILE
# appears whole, and is readable by its owner only; with Varnish also by the group varnish, which compiles it. Run it
# before the new key signs: `tutti keys rotate` leaves [edge] key_delay_s for that.
set -eu
[ $# = 3 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
kind=$1 from=$2 to=$3
case $kind in varnish | nginx) ;; *) echo "edge-keys: \"$kind\" is no edge: varnish or nginx" >&2; exit 2 ;; esac
keys=$(sed -n 's/^[0-9]\{1,\} \([0-9a-f]\{64\}\)$/\1/p' "$from" | tail -n 2)
[ -n "$keys" ] || { echo "edge-keys: $from holds no key" >&2; exit 1; }
key=$(printf '%s\n' "$keys" | tail -n 1)
former=$(printf '%s\n' "$keys" | head -n 1)
umask 077
part="$to.part.$$"
trap 'rm -f "$part"' EXIT
case $kind in
varnish) printf 'sub edge_keys {\n    var.set("key", "%s");\n    var.set("former", "%s");\n}\n' "$key" "$former" >"$part" ;;
nginx) printf '["%s", "%s"]\n' "$key" "$former" >"$part" ;;
esac
if [ "$kind" = varnish ] && [ "$(id -u)" = 0 ] && getent group varnish >/dev/null; then
    chgrp varnish "$part"
    chmod 640 "$part"
fi
mv "$part" "$to"
