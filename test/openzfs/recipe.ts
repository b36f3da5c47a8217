import { createHash } from 'node:crypto'
import { suite } from '../fixtures/image/debian-root.ts'

/** A step of making the machine's root directory. All may be run again on what an interrupted one left. */
export interface Step {
  readonly name: string
  /** Why it takes its time, for the reader of the build's output. */
  readonly what: string
  /** Run by `sh -e` in the root directory. */
  readonly script: string
}

const install = 'apt-get --quiet --yes --no-install-recommends -o Dpkg::Options::=--force-confold install'

/** What the suites would install, and what the machine runs by. */
const programs: readonly string[] = [
  'acl',
  'attr',
  'buildah',
  'busybox-static',
  'ca-certificates',
  'curl',
  'debootstrap',
  'docker-registry',
  'docker.io',
  'iproute2',
  'kmod',
  'libarchive-tools',
  'libcap2-bin',
  'openssh-server',
  'openssl',
  'procps',
  'skopeo',
  'umoci',
  'xz-utils',
  'zstd',
]

/** Timers and services that would only take time from the suites. */
const masked: readonly string[] = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'containerd.service',
  'docker-registry.service',
  'docker.service',
  'docker.socket',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'getty@tty1.service',
  'man-db.timer',
  'serial-getty@ttyS0.service',
  'systemd-timesyncd.service',
]

const modules: Step = {
  name: 'modules',
  what: "a kernel, and OpenZFS's modules compiled for it: 8 to 15 minutes",
  script: `
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
dpkg --configure -a
apt-get --quiet update
${install} linux-image-amd64 linux-headers-amd64
${install} --target-release ${suite}-backports zfs-dkms zfsutils-linux
kernel=$(ls /lib/modules | sort -V | tail -n 1)
dkms autoinstall -k "$kernel"
test -n "$(find /lib/modules/$kernel -name 'zfs.ko*')"
`,
}

const software: Step = {
  name: 'programs',
  what: 'the programs that the suites use: 1 minute',
  script: `
export DEBIAN_FRONTEND=noninteractive
dpkg --configure -a
${install} systemd-sysv udev ${programs.join(' ')}
`,
}

/** The initrd holds the two drivers that the root file system needs: unpacking all takes half a minute under emulation. */
const settings: Step = {
  name: 'settings',
  what: 'network, ssh, and an initrd of two drivers',
  script: `
systemctl enable systemd-networkd.service ssh.service
systemctl mask ${masked.join(' ')}
cat > /etc/systemd/network/10-machine.network <<'END'
[Match]
Name=en* eth*
[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
END
cat > /etc/ssh/sshd_config <<'END'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
END
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/ssh/ssh_host_ed25519_key
echo varve-openzfs > /etc/hostname
printf '127.0.0.1 localhost varve-openzfs\\n' > /etc/hosts
: > /etc/resolv.conf
: > /etc/apt/sources.list
: > /etc/machine-id
echo '/dev/vda / ext4 noatime 0 1' > /etc/fstab
echo zfs > /etc/modules-load.d/zfs.conf
echo 'options zfs zfs_arc_max=536870912' > /etc/modprobe.d/zfs.conf
echo MODULES=list > /etc/initramfs-tools/conf.d/machine
printf 'virtio_pci\\nvirtio_blk\\next4\\n' > /etc/initramfs-tools/modules
update-initramfs -u -k all
rm -f /usr/sbin/policy-rc.d /var/cache/apt/archives/*.deb /var/cache/apt/*.bin
rm -rf /var/lib/apt/lists
mkdir -p /root/.ssh
chmod 700 /root/.ssh
`,
}

export const steps: readonly Step[] = [modules, software, settings]

/** Grows with what the suites write; the file is sparse. */
export const diskBytes = 32 * 1024 ** 3

/** A machine is built again when this changes. */
export const recipeDigest: string = createHash('sha256')
  .update(JSON.stringify([suite, diskBytes, ...steps.map(({ script }) => script)]))
  .digest('hex')
  .slice(0, 16)
