import fc from 'fast-check'
import type { Archive, Ending, Entry, EntryKind, Layer, Oddity, Part, Style } from './archive.ts'
import {
  backward,
  directoryName,
  hardlinkTarget,
  otherName,
  rarely,
  symlinkName,
  symlinkTarget,
} from './generate-names.ts'

const id = fc.oneof(
  { weight: 160, arbitrary: fc.constantFrom(0, 0, 0, 1, 1000, 65534) },
  { weight: 20, arbitrary: fc.constantFrom(2097151, 2097152, 4294967294) },
  { weight: 1, arbitrary: fc.constantFrom(4294967295, 4294967296) },
)
const mode = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(0o644, 0o755, 0o600, 0o700) },
  { weight: 2, arbitrary: fc.constantFrom(0, 0o4755, 0o2755, 0o2775, 0o1777, 0o7777, 0o555, 0o6444) },
)
const mtime = fc.oneof(
  { weight: 60, arbitrary: fc.constantFrom(1, 1_000_000_000, 1_234_567_890, 1_500_000_000) },
  { weight: 10, arbitrary: fc.constantFrom(0, 2 ** 31 - 1, 2 ** 31, 2 ** 33, 1.5, 1_234_567_890.987_654) },
  { weight: 1, arbitrary: fc.constantFrom(-1, -1.5, 2 ** 33 + 2 ** 34) },
)
const content = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom('', 'one', 'two', 'x'.repeat(512), 'y'.repeat(700)) },
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      '\0'.repeat(1024),
      `${'\0'.repeat(1024)}z`,
      `${'s\0'.repeat(256)}${'\0'.repeat(2048)}`,
    ),
  },
  { weight: 1, arbitrary: fc.constant(`${'q'.repeat(512)}${'\0'.repeat(512)}`.repeat(30)) },
)
const style: fc.Arbitrary<Style> = fc.record({
  format: fc.oneof(
    { weight: 60, arbitrary: fc.constant<'ustar'>('ustar') },
    { weight: 15, arbitrary: fc.constantFrom<'gnu' | 'v7'>('gnu', 'v7') },
    { weight: 3, arbitrary: fc.constant<'star'>('star') },
  ),
  longNames: fc.constantFrom('pax', 'gnu', 'prefix'),
  numbers: rarely<Style['numbers']>('octal', ['base-256', 'pax'], 8),
  file: rarely<Style['file']>(
    'ordinary',
    ['old', 'contiguous', 'sparse-gnu', 'sparse-0.0', 'sparse-0.1', 'sparse-1.0'],
    14,
  ),
  typeBits: rarely(false, [true], 10),
  vendorRecords: rarely(false, [true], 30),
})

function entryOf(
  kind: EntryKind,
  at: fc.Arbitrary<string>,
  target: fc.Arbitrary<string> = fc.constant(''),
): fc.Arbitrary<Entry> {
  return fc.record({
    kind: fc.constant(kind),
    name: at,
    target,
    mode,
    uid: id,
    gid: id,
    mtime,
    content: kind === 'file' ? content : fc.constant(''),
    style,
  })
}

const entry = fc.oneof(
  { weight: 30, arbitrary: entryOf('file', otherName) },
  { weight: 30, arbitrary: entryOf('directory', directoryName) },
  { weight: 20, arbitrary: entryOf('symlink', symlinkName, symlinkTarget) },
  { weight: 15, arbitrary: entryOf('hardlink', otherName, hardlinkTarget) },
  { weight: 1, arbitrary: entryOf('fifo', otherName) },
  { weight: 1, arbitrary: entryOf('character', otherName) },
  { weight: 1, arbitrary: entryOf('block', otherName) },
)
const oddity: fc.Arbitrary<Oddity> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant<'global-header'>('global-header'),
      records: fc.constantFrom<Record<string, string>[]>(
        { comment: 'x' },
        { mtime: '77' },
        { uid: '7', path: 'evil' },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Oddity>({ kind: 'zero-block' }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant<'unknown-type'>('unknown-type'),
      type: fc.constantFrom('8', 'A', 'D', 'M', 'V', 'z'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant<'body-of-nothing'>('body-of-nothing'),
      type: fc.constantFrom<'1' | '2' | '5' | '6'>('1', '2', '5', '6'),
    }),
  },
)
const part: fc.Arbitrary<Part> = fc.oneof({ weight: 60, arbitrary: entry }, { weight: 1, arbitrary: oddity })
const ending: fc.Arbitrary<Ending> = fc.oneof(
  {
    weight: 80,
    arbitrary: fc.constantFrom<Ending[]>({ kind: 'blocks', count: 2 }, { kind: 'blocks', count: 20 }),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Ending[]>(
      { kind: 'blocks', count: 0 },
      { kind: 'blocks', count: 1 },
      { kind: 'junk', bytes: 100 },
      { kind: 'junk', bytes: 512 },
      { kind: 'entries-after' },
      { kind: 'dangling-header' },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant<'cut'>('cut'), bytes: fc.integer({ min: 1, max: 2000 }) }),
  },
)
const layer: fc.Arbitrary<Layer> = fc.record({
  parts: fc.array(part, { minLength: 1, maxLength: 8 }).map(withTargets),
  ending,
})

/** Hard links that say how far back their target is get its name. */
function withTargets(parts: readonly Part[]): Part[] {
  const seen: string[] = []
  return parts.map(one => {
    if (!('name' in one)) return one
    const { target } = one
    const back = target.startsWith(backward) ? Number(target.slice(1)) : undefined
    if (back !== undefined && seen.length === 0) return { ...one, kind: 'file', target: '' }
    const linked = back === undefined ? one : { ...one, target: seen.at(-1 - (back % seen.length)) ?? '' }
    if (one.kind !== 'directory') seen.push(one.name)
    return linked
  })
}

/** Most of them well-formed, full of clashes; some odd in one way or another. */
export const archives: fc.Arbitrary<Archive> = fc.record({
  layers: fc.oneof(
    { weight: 3, arbitrary: fc.tuple(layer) },
    { weight: 1, arbitrary: fc.tuple(layer, layer) },
  ),
})
