import type { Tree, TreeEntry } from './tree.ts'

export interface CompareTreesOptions {
  /** How exactly modification times must agree; to the nanosecond unless said otherwise. */
  readonly mtime?: 'nanoseconds' | 'microseconds' | 'seconds' | 'ignored' | undefined
  /** Paths whose modification time nothing determines. */
  readonly undefinedTimes?: ReadonlySet<string> | undefined
  /** Paths that are not compared. */
  readonly except?: ((path: string) => boolean) | undefined
  /** Differences to list before the rest is only counted. */
  readonly limit?: number | undefined
}

/** One sentence for each difference, in the order of paths; none when the trees are the same. */
export function compareTrees(actual: Tree, expected: Tree, options: CompareTreesOptions = {}): string[] {
  const { except = () => false, limit = 40 } = options
  const differences = [...new Set([...expected.keys(), ...actual.keys()])]
    .filter(path => !except(path))
    .sort()
    .flatMap(path => comparePath(path, actual.get(path), expected.get(path), options))
  if (differences.length <= limit) return differences
  return [...differences.slice(0, limit), `… and ${differences.length - limit} more`]
}

function comparePath(
  path: string,
  actual: TreeEntry | undefined,
  expected: TreeEntry | undefined,
  options: CompareTreesOptions,
): string[] {
  const name = printable(path)
  if (expected === undefined) return [`${name} should not be there`]
  if (actual === undefined) return [`${name} is missing`]
  const wanted = propertiesOf(path, expected, options)
  const found = propertiesOf(path, actual, options)
  return Object.keys(wanted)
    .filter(key => found[key] !== wanted[key])
    .map(key => `${name}: ${key} is ${short(found[key])}, expected ${short(wanted[key])}`)
}

const shownCharacters = 300

function short(text = ''): string {
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text
}

/** What is compared, as a person reads it. */
function propertiesOf(path: string, entry: TreeEntry, options: CompareTreesOptions): Record<string, string> {
  return {
    type: entry.type,
    // Nothing on Linux can set a symlink's mode, so it means nothing.
    mode: entry.type === 'symlink' ? 'any' : entry.mode.toString(8).padStart(4, '0'),
    owner: `${entry.uid}:${entry.gid}`,
    size: String(entry.size),
    mtime: options.undefinedTimes?.has(path) ? 'any' : timeOf(entry.mtime, options.mtime),
    target: printable(entry.target),
    sha256: entry.sha256,
    device: String(entry.device),
    links: entry.links.map(printable).join(' '),
    xattrs: entry.xattrs.map(printable).join(' '),
  }
}

const nanosecondsPerSecond = 1_000_000_000n

function timeOf(nanoseconds: bigint, precision: CompareTreesOptions['mtime'] = 'nanoseconds'): string {
  if (precision === 'ignored') return 'any'
  if (precision === 'microseconds') return `${Math.round(Number(nanoseconds) / 1000)} µs`
  const seconds = nanoseconds / nanosecondsPerSecond
  if (precision === 'seconds') return String(seconds)
  return `${seconds}.${String(nanoseconds % nanosecondsPerSecond).padStart(9, '0')}`
}

/** Bytes in latin1 as JSON text; read as UTF-8, which almost all names are. */
function printable(bytes: string): string {
  return JSON.stringify(Buffer.from(bytes, 'latin1').toString('utf8'))
}
