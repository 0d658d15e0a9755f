#!/bin/bash
# What runs first in a box (systemd_box.py): makes the file system of a machine of its own over this machine's /,
# and becomes systemd in it.   systemd_box_init.sh STATE_DIR STAGE_DIR [USER]
#
# Nothing of it is seen outside, since it runs in mount, pid, cgroup, network, host name and IPC namespaces of
# its own. Above all /tmp must be the box's own: systemd-tmpfiles empties it at boot.
set -euo pipefail
state=$1 stage=$2 user=${3-}
read -r outer_pid _ </proc/self/stat # /proc is the outer one still

layers=$state/layers root=$state/layers/root
mkdir "$layers"
mount -t tmpfs -o mode=755 box "$layers"
mkdir "$layers"/{upper,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" box "$root"

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
for fixed in proc/sys sys; do # the kernel's settings are the whole machine's
    [[ $fixed == sys ]] || mount --bind "$root/$fixed" "$root/$fixed"
    mount -o remount,bind,ro "$root/$fixed"
done
for place in dev run tmp var/tmp etc/systemd/system; do
    mode=755
    [[ $place != *tmp ]] || mode=1777
    mount -t tmpfs -o "mode=$mode" box "$root/$place"
done

device() { mknod -m 666 "$root/dev/$1" c "$2" "$3"; }
device null 1 3
device zero 1 5
device full 1 7
device random 1 8
device urandom 1 9
device tty 5 0
for link in fd:/proc/self/fd stdin:/proc/self/fd/0 stdout:/proc/self/fd/1 stderr:/proc/self/fd/2 ptmx:pts/ptmx; do
    ln -s "${link#*:}" "$root/dev/${link%%:*}"
done
mkdir "$root"/dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
: >"$state/kmsg" # what systemd says before there is a journal
: >"$root/dev/kmsg"
mount --bind "$state/kmsg" "$root/dev/kmsg"

# What to boot: the basic system, D-Bus and logind; nothing of what this machine has enabled.
cat >"$root/etc/systemd/system/box.target" <<'UNIT'
[Unit]
Requires=basic.target
Wants=dbus.socket systemd-logind.service systemd-user-sessions.service
After=basic.target dbus.socket systemd-logind.service
AllowIsolate=yes
UNIT
for off in systemd-{sysctl,firstboot,timesyncd,random-seed,update-utmp,repart,machine-id-commit,udevd}.service \
    systemd-udevd-{control,kernel}.socket getty.target; do
    ln -s /dev/null "$root/etc/systemd/system/$off"
done
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nForwardToSyslog=no\nRateLimitBurst=0\n' \
    >"$root/etc/systemd/journald.conf.d/box.conf"
: >"$root/etc/fstab"
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
hostname box

cp -a "$stage/." "$root/"
if [[ -n $user ]]; then
    chroot "$root" useradd -m -s /bin/bash "$user"
    mkdir -p "$root/var/lib/systemd/linger" # its manager starts at boot
    : >"$root/var/lib/systemd/linger/$user"
fi

cd "$root"
mkdir run/outside
pivot_root . run/outside
echo "$outer_pid" >"run/outside$state/pid"
umount -l /run/outside
rmdir /run/outside
mount --make-rshared /
exec env -i container=box LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=box.target </dev/null >/dev/null 2>&1
