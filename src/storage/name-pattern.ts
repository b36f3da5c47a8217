/** A pattern for names, ready to be compared with many. */
export interface NamePattern {
  test(name: string): boolean
}

/**
 * In a pattern `*` is any part of a segment of the name, and `**` any part of the name; a tag is one segment. A
 * comparison takes one step for each character of the name and each 32 of the pattern: patterns may be anybody's, and
 * one request may compare thousands.
 */
export function namePattern(pattern: string): NamePattern {
  const star = pattern.indexOf('*')
  if (star < 0) return { test: name => name === pattern }
  const prefix = pattern.slice(0, star)
  const rest = pattern.slice(star)
  if (/^\*{2,}$/.test(rest)) return { test: name => name.startsWith(prefix) }
  let machine: Machine | undefined
  return {
    test: name => {
      if (!name.startsWith(prefix)) return false
      machine ??= machineFor(rest)
      return fits(machine, name, prefix.length)
    },
  }
}

/** Whether one of the patterns fits. */
export function fitsAny(patterns: readonly string[], name: string): boolean {
  return patterns.some(pattern => namePattern(pattern).test(name))
}

/**
 * Which beginnings of a pattern fit what has been read of a name is a set of bits, one for each number of plain
 * characters (Baeza-Yates and Gonnet, "A new approach to text searching"), so that nothing is ever tried again.
 */
interface Machine {
  /** By a plain character, the beginnings that end with it. */
  readonly ends: ReadonlyMap<string, Uint32Array>
  /** Beginnings with a star behind them that takes this character. */
  readonly staysAtSlash: Uint32Array
  readonly staysElsewhere: Uint32Array
  /** Plain characters of the whole pattern. */
  readonly length: number
}

function machineFor(pattern: string): Machine {
  const tokens = pattern.match(/\*{2,}|[\s\S]/g) ?? []
  const length = tokens.filter(token => !token.startsWith('*')).length
  const empty = () => new Uint32Array(Math.floor(length / 32) + 1)
  const ends = new Map<string, Uint32Array>()
  const [staysAtSlash, staysElsewhere] = [empty(), empty()]
  let position = 0
  for (const token of tokens) {
    if (token.startsWith('*')) {
      add(staysElsewhere, position)
      if (token !== '*') add(staysAtSlash, position)
      continue
    }
    position += 1
    const sameEnd = ends.get(token) ?? empty()
    ends.set(token, sameEnd)
    add(sameEnd, position)
  }
  return { ends, staysAtSlash, staysElsewhere, length }
}

function fits({ ends, staysAtSlash, staysElsewhere, length }: Machine, name: string, from: number): boolean {
  const reached = new Uint32Array(staysAtSlash.length)
  add(reached, 0)
  for (let position = from; position < name.length; position += 1) {
    const character = name.charAt(position)
    const end = ends.get(character)
    const stays = character === '/' ? staysAtSlash : staysElsewhere
    let carry = 0
    let left = 0
    // Not by an iterator: this is where all the time goes.
    for (let word = 0; word < reached.length; word += 1) {
      const before = reached[word] ?? 0
      const next = (((before << 1) | carry) & (end?.[word] ?? 0)) | (before & (stays[word] ?? 0))
      carry = before >>> 31
      reached[word] = next
      left |= next
    }
    if (left === 0) return false
  }
  return has(reached, length)
}

function add(set: Uint32Array, bit: number): void {
  const word = bit >>> 5
  set[word] = (set[word] ?? 0) | (1 << (bit & 31))
}

function has(set: Uint32Array, bit: number): boolean {
  return ((set[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0
}
