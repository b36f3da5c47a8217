import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

/** What makes pools. A suite that reaches it by its imports has something to find out about OpenZFS. */
const poolMaker = 'test/support/zfs.ts'

/** Need no pool of their own in every test, but are the importer's. */
const more: readonly string[] = ['test/importer/agent/']

/** Starts dockerd and takes a fixture image, which the machine has no network to make. */
const never: readonly string[] = ['test/e2e/demo.test.ts']

/**
 * The suites that are run on OpenZFS, sorted.
 *
 * @param only parts of paths; without any, all of them.
 */
export function openZfsSuites(only: readonly string[]): string[] {
  const files = new Map(globSync('{src,test}/**/*.ts').map(path => [path, readFileSync(path, 'utf8')]))
  return [...files.keys()]
    .filter(path => path.endsWith('.test.ts') && !never.some(prefix => path.startsWith(prefix)))
    .filter(path => more.some(prefix => path.startsWith(prefix)) || reaches(path, poolMaker, files))
    .filter(path => only.length === 0 || only.some(part => path.includes(part)))
    .sort()
}

const importPattern = /(?:from|import)\s+'(\.[^']+)'/g

function reaches(from: string, target: string, files: ReadonlyMap<string, string>): boolean {
  const seen = new Set([from])
  for (const path of seen)
    for (const [, specifier = ''] of (files.get(path) ?? '').matchAll(importPattern))
      seen.add(posix.join(posix.dirname(path), specifier))
  return seen.has(target)
}
