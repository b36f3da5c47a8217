import { randomUUID } from 'node:crypto'
import { formatBytes } from '../../src/cli/format.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { startPostgres } from '../../test/support/postgres.ts'
import { ensurePrograms } from '../../test/support/programs.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { type Contender, varveWith } from '../registry/contender.ts'
import { type Content, pushBlob, pushContent, putManifest, repository } from '../registry/content.ts'
import { hammer, median, timesPerSecond } from '../registry/measure.ts'

const turns = 3
const seconds = 3
const connections = 16
const images = 300

interface Candidate {
  readonly database: 'SQLite' | 'PostgreSQL'
  readonly workers: number
  readonly contender: Contender
  readonly content: Content
}

interface Measure {
  readonly heading: string
  run(candidate: Candidate): Promise<number>
  readonly show: (value: number) => string
}

const perSecond = (value: number): string => `${value.toFixed(0)}/s`

const measures: readonly Measure[] = [
  {
    heading: 'MANIFEST BY TAG',
    run: async ({ contender }) =>
      (await hammer(`${contender.url}/v2/${repository}/manifests/latest`, connections, seconds)).perSecond,
    show: perSecond,
  },
  {
    heading: 'PULL 10 MB',
    run: async ({ contender, content }) => {
      const url = `${contender.url}/v2/${repository}/blobs/${content.blobs.get(10)}`
      return (await hammer(url, connections, seconds)).bytesPerSecond
    },
    show: value => `${formatBytes(value)}/s`,
  },
  {
    heading: 'PUSH SMALL IMAGES',
    run: ({ contender }) => timesPerSecond(images, connections, () => pushSmallImage(contender.url)),
    show: perSecond,
  },
]

/** Commits of both databases wait for the disk. */
export async function compareDatabases(): Promise<{ headings: string[]; rows: string[][] }> {
  await ensurePrograms('wrk')
  await using stack = new AsyncDisposableStack()
  const postgres = stack.use(await startPostgres({ durable: true }))
  const candidates: Candidate[] = []
  for (const database of ['SQLite', 'PostgreSQL'] as const)
    for (const workers of [1, 2]) {
      const url = database === 'SQLite' ? {} : { database: { url: await postgres.createDatabase() } }
      const { path } = stack.use(await temporaryDirectory())
      const contender = await varveWith({ ...url, registry: { workers } })(path)
      stack.defer(() => contender.stop())
      candidates.push({ database, workers, contender, content: await pushContent(contender.url) })
    }
  const rows = candidates.map(({ database, workers }) => [database, String(workers)])
  for (const measure of measures) {
    const values = candidates.map((): number[] => [])
    for (let turn = 0; turn < turns; turn += 1)
      for (const [index, candidate] of candidates.entries()) values[index]?.push(await measure.run(candidate))
    for (const [index, cells] of rows.entries()) cells.push(measure.show(median(values[index] ?? [])))
  }
  return { headings: ['DATABASE', 'WORKERS', ...measures.map(({ heading }) => heading)], rows }
}

/** Two blobs that nobody has yet, by POST and PUT, and a manifest with a tag: five requests. */
async function pushSmallImage(url: string): Promise<void> {
  const name = `small/${randomUUID()}`
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', created: name }))
  const layer = Buffer.alloc(1024, name)
  const [configDigest, layerDigest] = [await pushBlob(url, name, config), await pushBlob(url, name, layer)]
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: configDigest, size: config.length },
    layers: [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layerDigest, size: layer.length },
    ],
  }
  await putManifest(url, name, 'latest', Buffer.from(JSON.stringify(manifest)))
}
