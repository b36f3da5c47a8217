import { plainDirectory } from './plain-sources.ts'

/** Where the work tree is in the machine. */
export const treeDirectory = '/varve'

const preloaded = [`${plainDirectory}/test/openzfs/plain-hook.js`, 'test/openzfs/patient-tests.ts']

export interface SuiteEnvironment {
  /** How many times as long as on a real processor a test may take. */
  readonly slowness: number
}

/** A line of sh that runs a program, and its arguments, with what the suites need in an emulated machine. */
export function withSuiteEnvironment({ slowness }: SuiteEnvironment, program: readonly string[]): string {
  const environment = {
    VARVE_TEST_SLOWNESS: String(slowness),
    NODE_OPTIONS: preloaded.map(path => `--import=${treeDirectory}/${path}`).join(' '),
  }
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  return ['env', ...assignments, ...program].map(quoted).join(' ')
}

/** As one word of sh, whatever is in it. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}
