import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChildDaemon, daemonDirectory, startDaemon } from './child-daemon.ts'
import { exec } from './process.ts'
import { ensurePrograms } from './programs.ts'

export interface Containerd extends ChildDaemon {
  /** Runs `ctr` against this daemon; answers its standard output. */
  ctr(...args: readonly string[]): Promise<string>
}

/** What it would run containers with, serve to Kubernetes, or write outside of its own directories. */
const disabledPlugins: readonly string[] = [
  'io.containerd.grpc.v1.cri',
  'io.containerd.internal.v1.opt',
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.zfs',
]

/** Starts `containerd` and waits until it answers. Needs root. */
export async function startContainerd(): Promise<Containerd> {
  await ensurePrograms('containerd')
  const directory = await daemonDirectory('containerd')
  const socket = join(directory, 'containerd.sock')
  const configFile = join(directory, 'config.toml')
  const lines = [
    'version = 2',
    `root = ${JSON.stringify(join(directory, 'root'))}`,
    `state = ${JSON.stringify(join(directory, 'state'))}`,
    `disabled_plugins = ${JSON.stringify(disabledPlugins)}`,
    '[grpc]',
    `address = ${JSON.stringify(socket)}`,
  ]
  await writeFile(configFile, `${lines.join('\n')}\n`)
  const ctr = (...args: readonly string[]): Promise<string> =>
    exec('ctr', ['--address', socket, '--namespace', 'varve', ...args])
  const daemon = await startDaemon(directory, {
    program: 'containerd',
    args: ['--config', configFile],
    ask: () => ctr('version'),
  })
  return { ctr, stop: () => daemon.stop() }
}
