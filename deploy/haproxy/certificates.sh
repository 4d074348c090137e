#!/bin/sh
# Certificates for HAProxy without a public authority: certificates.sh DIRECTORY NAME…
#
# Makes DIRECTORY/authority.pem (once, ten years; give it to those who shall trust it) and DIRECTORY/tutti.pem, a
# certificate for the names (host names or addresses; the first one is its subject) and its key, for 90 days. Run it
# each night: it does nothing while the certificate has the names and 30 days left. Then reload HAProxy. With a public
# name use certbot instead, and put fullchain.pem and privkey.pem into one file.
set -eu
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
directory=$1
shift
names=
for name in "$@"; do
    case $name in
    *[!0-9.]*:* | *:*) names="$names,IP:$name" ;;
    *[!0-9.]*) names="$names,DNS:$name" ;;
    *) names="$names,IP:$name" ;;
    esac
done
names=${names#,}
umask 077
mkdir -p "$directory"
cd "$directory"

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

if [ ! -f authority.pem ]; then
    key authority.key
    openssl req -x509 -new -key authority.key -days 3650 -subj "/CN=Tutti's own authority" -out authority.pem.part \
        -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign'
    chmod 644 authority.pem.part
    mv authority.pem.part authority.pem
fi
if [ -f tutti.pem ] && [ "$(cat names 2>/dev/null)" = "$names" ] &&
    openssl x509 -in tutti.pem -noout -checkend 2592000 >/dev/null; then
    exit 0
fi
trap 'rm -f tutti.key tutti.csr tutti.ext tutti.crt tutti.pem.part' EXIT
key tutti.key
openssl req -new -key tutti.key -subj "/CN=$1" -out tutti.csr
printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n' \
    "$names" >tutti.ext
openssl x509 -req -in tutti.csr -CA authority.pem -CAkey authority.key -days 90 -extfile tutti.ext -out tutti.crt 2>/dev/null
cat tutti.crt authority.pem tutti.key >tutti.pem.part
mv tutti.pem.part tutti.pem
printf '%s\n' "$names" >names
