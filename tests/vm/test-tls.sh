#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Two hosts and TLS: with a shared key (nbdkit's nbd plugin as a relay) and with certificates (by
# nbd-client itself) the other host attaches a devdax device, makes a file system and works there.
# Who has no key, a wrong one, or a certificate of somebody else's is refused.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

requires certtool --version

server_host() {
	network one
	devdax 0
	devdax 1
	kmemblk format /dev/dax0.0
	kmemblk format /dev/dax1.0
	serve /dev/dax0.0 --tls=require --tls-psk=/guest/keys/right.psk
	psk_server=$server
	serve /dev/dax1.0 -p 10810 --tls=require --tls-certificates=/guest/server --tls-verify-peer
	say serving
	# Until the other host is done.
	nc -l -p 4000
	stop_server
	server=$psk_server
	stop_server
	kmemblk check /dev/dax0.0
	kmemblk check /dev/dax1.0
}

# use DISK
use() {
	mkfs.ext4 -q "$1"
	mount "$1" /mnt
	truncate -s 16M /mnt/loaded
	./load ext4 /mnt/loaded -n 25
	umount /mnt
	check_fs ext4 "$1"
}

with_key() {
	local uri='nbds://kmemblk@one?tls-psk-file=/guest/keys'
	expect_error 1 'TLS' nbdinfo nbd://one
	nbdinfo --size "$uri/right.psk"
	expect_error 1 'gnutls_handshake|handshake' nbdinfo --size "$uri/wrong.psk"
	# nbd-client has no such keys: a relay on this host has.
	nbdkit -U /tmp/relay -P /tmp/relay.pid ./nbdkit-nbd-plugin.so hostname=one tls=require \
		tls-username=kmemblk tls-psk=/guest/keys/right.psk
	nbd-client -unix /tmp/relay /dev/nbd0 -b 4096
	use /dev/nbd0
	nbd-client -d /dev/nbd0
	kill "$(cat /tmp/relay.pid)"
}

# with_certificate FOLDER AUTHORITY: nbd-client, which may write to its TLS half when that has ended,
# and then is to say so and not to die of SIGPIPE.
with_certificate() (
	trap '' PIPE
	nbd-client one 10810 /dev/nbd0 -b 4096 -tlshostname one -cacertfile "$2/ca-cert.pem" \
		-certfile "$1/client-cert.pem" -keyfile "$1/client-key.pem"
)

client_host() {
	network two
	wait_until bash -c ": < /dev/tcp/one/10810"
	with_key
	expect_error 1 '' nbd-client one 10810 /dev/nbd0 -b 4096
	# The server does not believe this client, and this one not the server.
	expect_error 1 '' with_certificate /guest/stranger /guest/client
	expect_error 1 '' with_certificate /guest/client /guest/stranger
	with_certificate /guest/client /guest/client
	use /dev/nbd0
	nbd-client -d /dev/nbd0
	# No pipe: this may end, when the other end does, before it has read.
	nc one 4000 <<< "done"
}

# An authority, a certificate of the server's and one of the client's.  certificates FOLDER
certificates() {
	local who
	mkdir "$1"
	printf 'cn = "an authority"\nca\ncert_signing_key\n' > "$1/ca.info"
	printf 'cn = "one"\ndns_name = "one"\ntls_www_server\nsigning_key\n' > "$1/server.info"
	printf 'cn = "two"\ntls_www_client\nsigning_key\n' > "$1/client.info"
	for who in ca server client; do
		certtool --generate-privkey --ecc --outfile "$1/$who-key.pem"
	done
	certtool --generate-self-signed --load-privkey "$1/ca-key.pem" --template "$1/ca.info" \
		--outfile "$1/ca-cert.pem"
	for who in server client; do
		certtool --generate-certificate --load-ca-certificate "$1/ca-cert.pem" \
			--load-ca-privkey "$1/ca-key.pem" --load-privkey "$1/$who-key.pem" \
			--template "$1/$who.info" --outfile "$1/$who-cert.pem"
	done
} 2>> "$tmp/certtool.log"

certificates "$tmp/server"
cp -r "$tmp/server" "$tmp/client"
certificates "$tmp/stranger"
mkdir "$tmp/keys"
for key in right wrong; do
	echo "kmemblk:$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')" > "$tmp/keys/$key.psk"
done

nvdimm psk 128M
psk=$nvdimm
nvdimm certificates 128M
guest_start one net=two nvdimm="$psk" nvdimm="$nvdimm" \
	file="$tmp/keys" file="$tmp/server" -- server_host
guest_start two net=one file="$tmp/keys" file="$tmp/client" file="$tmp/stranger" -- client_host
guest_wait two
guest_wait one
