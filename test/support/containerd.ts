import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChildDaemon, daemonDirectory, startDaemon } from './child-daemon.ts'
import { exec } from './process.ts'
import { ensurePrograms } from './programs.ts'

export interface Containerd extends ChildDaemon {
  /** Runs `ctr` against this daemon; answers its standard output. */
  ctr(...args: readonly string[]): Promise<string>
  /** What {@link ctr} runs. */
  command(...args: readonly string[]): { readonly program: string; readonly args: readonly string[] }
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

/**
 * Starts `containerd` and waits until it answers. Needs root.
 *
 * @param parent where the directory with all that it stores is made; the temporary directory by default.
 */
export async function startContainerd(parent?: string): Promise<Containerd> {
  await ensurePrograms('containerd')
  const directory = await daemonDirectory('containerd', parent)
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
  const command: Containerd['command'] = (...args) => ({
    program: 'ctr',
    args: ['--address', socket, '--namespace', 'varve', ...args],
  })
  const ctr: Containerd['ctr'] = (...args) => exec('ctr', command(...args).args)
  const daemon = await startDaemon(directory, {
    program: 'containerd',
    args: ['--config', configFile],
    ask: () => ctr('version'),
  })
  return { ctr, command, pid: daemon.pid, stop: () => daemon.stop() }
}
