import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

/** What hostile layers of the tests aim at on the host itself: nothing of it may come to be, or change. */
const hostPaths = ['/pwn', '/etc/pwn', '/tmp/pwn', '/run/pwn', '/victim', '/etc/passwd'] as const

/**
 * Things around a root directory that no layer may touch: a file and a directory with all that an attack could
 * change of them, and a directory whose name begins like the root's.
 */
export class Canary {
  readonly #directory: string
  readonly #root: string
  readonly #before: ReadonlyMap<string, string>

  /** Makes them in `directory`, next to `root`, which is looked past. */
  constructor(directory: string, root: string) {
    this.#directory = directory
    this.#root = root
    makeThings(directory, `${root}-evil`)
    this.#before = this.#look()
  }

  /** @throws AssertionError that shows what has changed, by path and by what stat(2) calls it. */
  assertUntouched(): void {
    assert.deepEqual(this.#look(), this.#before)
  }

  #look(): Map<string, string> {
    const seen = new Map<string, string>()
    const visit = (path: string): void => {
      seen.set(path, describe(join(this.#directory, path)))
      if (!lstatSync(join(this.#directory, path)).isDirectory()) return
      for (const name of readdirSync(join(this.#directory, path)).sort())
        if (path !== '.' || name !== this.#root) visit(path === '.' ? name : `${path}/${name}`)
    }
    visit('.')
    for (const path of hostPaths) seen.set(path, describeHost(path))
    return seen
  }
}

function makeThings(directory: string, evil: string): void {
  const at = (path: string): string => join(directory, path)
  for (const name of [evil, 'victim', 'victim/.ssh']) mkdirSync(at(name), 0o711)
  for (const name of ['canary', `${evil}/f`, 'victim/authorized_keys', 'victim/setuid', 'victim/.ssh/key'])
    writeFileSync(at(name), 'untouched', { mode: 0o600 })
  linkSync(at('victim/authorized_keys'), at('victim/twin'))
  symlinkSync('canary', at('link'))
  symlinkSync('nowhere', at('dangling'))
  chownSync(at('victim/setuid'), 1000, 1001)
  chmodSync(at('victim/setuid'), 0o4755)
  chownSync(at('victim/.ssh'), 1000, 1001)
  for (const [index, name] of ['canary', 'link', 'victim/authorized_keys', 'victim/.ssh', 'victim'].entries())
    lutimesSync(at(name), 1_000_000 + index, 1_000_000 + index)
}

/**
 * All but the time of the last access, which reading changes. The time of the last change stands for what Node cannot
 * see, such as extended attributes, and for what was changed and changed back.
 */
function describe(path: string): string {
  const stats = lstatSync(path, { bigint: true })
  const { dev, ino, mode, nlink, uid, gid, rdev, size, mtimeNs, ctimeNs } = stats
  const facts = { dev, ino, mode: mode.toString(8), nlink, uid, gid, rdev, size, mtimeNs, ctimeNs }
  const shown = Object.entries(facts).map(([name, value]) => `${name}=${value}`)
  if (stats.isFile()) shown.push(`content=${readFileSync(path, 'latin1')}`)
  if (stats.isSymbolicLink()) shown.push(`target=${readlinkSync(path)}`)
  return shown.join(' ')
}

/** Others on this machine may replace what is there, so only what an attack would leave is looked at. */
function describeHost(path: string): string {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats === undefined
    ? 'absent'
    : `mode=${stats.mode.toString(8)} nlink=${stats.nlink} uid=${stats.uid}`
}
