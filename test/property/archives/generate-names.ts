import fc from 'fast-check'

/** Few names, so that entries clash; now and then one that is hard to read. */
const name = fc.oneof(
  { weight: 600, arbitrary: fc.constantFrom('a', 'b', 'c') },
  {
    weight: 10,
    arbitrary: fc.constantFrom(
      '\xe9',
      '\xc3\xa9',
      'e\xcc\x81',
      'n'.repeat(120),
      'm'.repeat(255),
      'new\nline',
      'back\\slash',
      'sp ace',
      '.wh',
      '...',
      '-x',
      '*',
    ),
  },
  { weight: 1, arbitrary: fc.constant('m'.repeat(256)) },
)

/** The usual one, and in one of `weight + 1` cases an odd one. */
export function rarely<Value>(usual: Value, odd: readonly Value[], weight = 20): fc.Arbitrary<Value> {
  return fc.oneof(
    { weight, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
  )
}

/** Directories and all else have names of their own, but not always. */
function pathOf(usual: readonly string[]): fc.Arbitrary<string> {
  const last = fc.oneof({ weight: 10, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: name })
  return fc
    .tuple(
      rarely('', ['./', './', '/', '//', './/', '/./'], 8),
      fc.array(inner, { maxLength: 2 }),
      last,
      rarely('/', ['//', '//', '/./', '/./', '/../'], 80),
    )
    .map(([before, names, own, between]) => before + [...names, own].join(between))
}

const inner = fc.oneof(
  { weight: 24, arbitrary: name },
  { weight: 5, arbitrary: fc.constantFrom('l', 'm') },
  { weight: 1, arbitrary: fc.constant('f') },
)
const path = pathOf(['f', 'g'])
const oddPath = fc.constantFrom('', '.', './', '/', '..', '../a', 'a/..', './/', '/..', 'a/../b')
export const directoryName = fc.oneof(
  {
    weight: 24,
    arbitrary: fc
      .tuple(pathOf(['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c', 'l']), fc.constantFrom('', '/'))
      .map(([at, slash]) => at + slash),
  },
  { weight: 2, arbitrary: fc.constantFrom('./', '.') },
  { weight: 1, arbitrary: oddPath },
)
export const otherName = fc.oneof(
  { weight: 60, arbitrary: path },
  { weight: 1, arbitrary: path.map(at => `${at}/`) },
  { weight: 1, arbitrary: oddPath },
)
export const symlinkName = pathOf(['l', 'm'])
/** Before how far back, counted in entries, the target of a hard link is. */
export const backward = '<'

/** Mostly that of an entry before the link, which is known later. */
export const hardlinkTarget = fc.oneof(
  { weight: 12, arbitrary: fc.nat({ max: 7 }).map(back => `${backward}${back}`) },
  { weight: 1, arbitrary: otherName },
)
export const symlinkTarget = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.constantFrom(
      'a',
      'b',
      'c',
      'a/b',
      'b/a',
      '../a',
      '../b',
      '/a',
      '/b',
      '/a/b',
      '/c/a',
      '.',
      'gone',
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '..',
      '../..',
      '/',
      '/..',
      '../../b',
      './c',
      '//b',
      'a/',
      'b//a',
      `a/${'../a/'.repeat(30)}`,
    ),
  },
)
