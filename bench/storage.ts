/**
 * Storage: Varve beside Debian's docker-registry on one and the same S3 server, and Varve beside itself on SQLite and
 * PostgreSQL, with one worker and two. Client, registry, S3 server and database share this machine's cores, so what a
 * second worker could do is told only in part. `node bench/storage.ts commit-minio memory` runs those parts alone.
 */
import { availableParallelism } from 'node:os'
import { formatTable } from '../src/cli/format.ts'
import { s3ServerKinds } from '../test/support/s3-server.ts'
import { compareCommits } from './storage/commit.ts'
import { compareDatabases } from './storage/databases.ts'
import { compareMemory } from './storage/memory.ts'
import { compareThroughput } from './storage/throughput.ts'

const peers = ['', 'docker-registry', 'varve', 'ratio']

const parts: Readonly<Record<string, () => Promise<void>>> = {
  ...Object.fromEntries(
    s3ServerKinds.flatMap(kind => [
      [
        `commit-${kind}`,
        async () =>
          print('closing PUT of 1 GiB; ratio: how many times faster', peers, await compareCommits(kind)),
      ],
      [
        `throughput-${kind}`,
        async () =>
          print('without redirects; ratio: varve / docker-registry', peers, await compareThroughput(kind)),
      ],
    ]),
  ),
  memory: async () =>
    print('32 uploads of 128 MiB at once, on S3; ratio: how many times less', peers, await compareMemory()),
  databases: async () => {
    const { headings, rows } = await compareDatabases()
    const cores = availableParallelism()
    print(`objects in a directory; processes, database and client share ${cores} cores`, headings, rows)
  },
}

/** @param only names of parts, or what they begin with. */
export async function run(...only: readonly string[]): Promise<void> {
  for (const [name, part] of Object.entries(parts))
    if (only.length === 0 || only.some(start => name.startsWith(start))) await part()
}

function print(about: string, headings: readonly string[], rows: readonly string[][]): void {
  console.log(`\n${about}\n${formatTable([...headings], rows)}`)
}

if (import.meta.main) await run(...process.argv.slice(2))
