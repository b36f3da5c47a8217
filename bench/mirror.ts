/**
 * Mirrors and copies beside what others do with the same images, from Debian's docker-registry, over loopback.
 *
 *     make bench-mirror [ONLY=unchanged,first,large] [TAGS=1000] [RUNS=3] [AT_ONCE=3] [CONTENDER=own,regsync]
 *
 * Each keeps its copies in a place of its own; all take turns. What the source is asked is read from its access log. The
 * times of the registries' own processes count for nobody; those of `varve, own stores` are in the program itself.
 */
import { formatTable } from '../src/cli/format.ts'
import { compareFirst } from './mirror/first-copy.ts'
import { compareLarge } from './mirror/large-image.ts'
import { ensureMirrorPrograms } from './mirror/programs.ts'
import { compareUnchanged } from './mirror/unchanged-tags.ts'

const MiB = 1024 * 1024

export async function run(): Promise<void> {
  const programs = await ensureMirrorPrograms()
  const runs = setting('RUNS', 3)
  const options = { runs, atOnce: setting('AT_ONCE', 3), only: (process.env['CONTENDER'] ?? '').split(',') }
  if (isWanted('unchanged')) {
    const tags = setting('TAGS', 1000)
    const repositories = Math.min(10, tags)
    const shape = { repositories, tags: Math.floor(tags / repositories), shared: [100_000], own: [] }
    const rows = await compareUnchanged(programs, { ...options, shape })
    print(
      `\na pass over ${tags} unchanged tags`,
      ['', 'wall', 'of varve', 'CPU', 'asked of the source'],
      rows,
    )
  }
  if (isWanted('first')) {
    const shape = { repositories: 10, tags: 5, shared: [8 * MiB, 4 * MiB, 2 * MiB], own: [MiB, MiB] }
    const rows = await compareFirst(programs, { ...options, shape })
    const headings = ['', 'wall', 'of varve', 'CPU', 'bytes sent', 'requests', 'asked of the source']
    print('\na first copy of 50 images that share layers', headings, rows)
  }
  if (isWanted('large')) {
    const rows = await compareLarge(programs, { ...options, layers: 4, bytes: 256 * MiB })
    print('\none image of 1 GiB from one registry to another', ['', 'wall', 'of varve', 'CPU', 'rate'], rows)
  }
}

function isWanted(part: string): boolean {
  const only = process.env['ONLY'] ?? ''
  return only === '' || only.split(',').includes(part)
}

function setting(name: string, otherwise: number): number {
  return Number(process.env[name] || otherwise)
}

function print(title: string, headings: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(`${title}\n${formatTable(headings, rows)}`)
}

if (import.meta.main) await run()
