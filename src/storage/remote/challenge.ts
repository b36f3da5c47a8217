/** One `WWW-Authenticate` challenge (RFC 9110, section 11.6.1; distribution's token protocol). */
export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string
  readonly parameters: ReadonlyMap<string, string>
}

const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/.source
/** One way only to read white space: a header of nothing else would take seconds. */
const separator = /\s*(?:,\s*)?/.source
const parameter = new RegExp(`${separator}(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))`, 'y')
const schemeStart = new RegExp(`${separator}(${token})(?:\\s+|$)`, 'y')

/** Parses a header that may hold several challenges; what cannot be read ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = []
  let position = 0
  while (position < header.length) {
    schemeStart.lastIndex = position
    const scheme = schemeStart.exec(header)?.[1]
    if (scheme === undefined) break
    position = schemeStart.lastIndex
    const parameters = new Map<string, string>()
    for (;;) {
      parameter.lastIndex = position
      const match = parameter.exec(header)
      if (match === null) break
      const [, name = '', quoted, plain] = match
      parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '')
      position = parameter.lastIndex
    }
    challenges.push({ scheme: scheme.toLowerCase(), parameters })
  }
  return challenges
}
