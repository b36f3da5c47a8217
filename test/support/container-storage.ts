import { join } from 'node:path'
import { exec } from './process.ts'

/** Runs the program with a storage in `directory`, untouched by how this machine configures it. */
export function withOwnStorage(
  program: 'buildah' | 'podman',
  directory: string,
): (...args: readonly string[]) => Promise<string> {
  const options = storageOptions(program, directory)
  return (...args) => exec(program, [...options, ...args], { env: { TMPDIR: directory } })
}

/** What comes first on the command line; TMPDIR should be the directory too. */
export function storageOptions(program: 'buildah' | 'podman', directory: string): readonly string[] {
  const at = (name: string): string => join(directory, `${program}-${name}`)
  const options = ['--storage-driver=vfs', `--root=${at('storage')}`, `--runroot=${at('run')}`]
  // It would tell systemd of each image otherwise, and look for the cgroups of containers.
  if (program === 'podman')
    options.push(`--tmpdir=${at('tmp')}`, '--events-backend=none', '--cgroup-manager=cgroupfs')
  return options
}
