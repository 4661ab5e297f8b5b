#!/bin/sh
# Runs a program in an image's file system as a container would, as far as this machine allows: the root read-only, /tmp and the named
# volumes writable, an unprivileged user without capabilities or groups, no way to gain any. Needs root, or user namespaces as root has.
#   confined.sh ROOT UID WORKDIR VOLUMES(space-separated, or "") PROGRAM ARG…
set -eu
root=$1 uid=$2 workdir=$3 volumes=$4; shift 4
if [ -z "${STOA_CONFINED:-}" ]; then exec env STOA_CONFINED=1 unshare --mount --propagation private "$0" "$root" "$uid" "$workdir" "$volumes" "$@"; fi
unset STOA_CONFINED
mount --bind "$root" "$root"
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/etc"
# What distroless/cc brings: the C and C++ libraries, certificates, and names.
for library in $(ldd "$root/usr/local/bin/node" | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }') /lib/x86_64-linux-gnu/libnss_files.so.2 /lib/x86_64-linux-gnu/libnss_dns.so.2 /lib/x86_64-linux-gnu/libresolv.so.2; do
  [ -e "$library" ] || continue
  mkdir -p "$root$(dirname "$library")"; touch "$root$library"; mount --bind "$library" "$root$library"
done
for file in /etc/hosts /etc/resolv.conf /etc/nsswitch.conf; do [ -e "$file" ] || continue; touch "$root$file"; mount --bind "$(readlink -f "$file")" "$root$file"; done
mount -o remount,bind,ro "$root"
mount --rbind /proc "$root/proc"; mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777,size=64m,nosuid,nodev tmpfs "$root/tmp"
for volume in $volumes; do mount -t tmpfs -o "uid=$uid,gid=$uid,mode=0755,nosuid,nodev" tmpfs "$root$volume"; done
exec setpriv --no-new-privs --clear-groups unshare --root="$root" --wd="$workdir" --setgid="$uid" --setuid="$uid" "$@"
