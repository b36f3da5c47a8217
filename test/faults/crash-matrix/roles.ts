import { separator } from './shims.ts'

/** What the names in a pool mean, so that a command reads the same in every run. */
export interface Names {
  readonly dataset: string
  /** What a chain is called, by the hex of its ID. */
  readonly chains: ReadonlyMap<string, string>
}

/**
 * A command line without what differs between runs and what sets properties: `zfs clone LINEAGE@base clones/web`.
 * @param line as the log of a killing `zfs` has it.
 */
export function commandInRoles(line: string, { dataset, chains }: Names): string {
  const [verb = '', ...args] = withoutProperties(argumentsOf(line))
  const [pool = ''] = dataset.split('/')
  const targets = verb === 'get' || verb === 'list' ? args.filter(isTarget) : args
  const shown = targets.map(arg => {
    let text = arg
      .replace(`${dataset}/chains/`, '')
      .replace(`${dataset}/`, '')
      .replace(dataset, 'STORE')
      .replace(pool, 'POOL')
    for (const [hex, name] of chains) text = text.replace(hex, name)
    return text
      .replace(/^(varve:[a-z-]+)=.*$/, '$1=…')
      .replace(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/, 'UUID')
      .replace(/\b[0-9a-f]{16}\b/, 'LINEAGE')
  })
  return ['zfs', verb, ...shown].join(' ')

  function isTarget(arg: string): boolean {
    return arg === '-r' || arg === pool || arg.startsWith(`${pool}/`)
  }
}

/** Whether a command only looks. */
export function onlyReads(line: string): boolean {
  const [verb = '', ...args] = argumentsOf(line)
  return ['get', 'list', 'holds', 'version'].includes(verb) || (verb === 'program' && args.includes('-n'))
}

function argumentsOf(line: string): string[] {
  return line.split(separator).slice(0, -1)
}

function withoutProperties(args: readonly string[]): string[] {
  return args.filter((arg, index) => arg !== '-o' && args[index - 1] !== '-o')
}
