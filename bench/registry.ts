/**
 * Varve beside Debian's docker-registry: same machine, same disk, loopback, one process each, access logs on. Each
 * line is the median of three turns, taken alternately.
 */
import { randomBytes } from 'node:crypto'
import { request } from 'undici'
import { digestOf } from '../src/storage/digest.ts'
import { formatBytes, formatTable } from '../src/cli/format.ts'
import { ensurePrograms } from '../test/support/programs.ts'
import { temporaryDirectory } from '../test/support/temporary-directory.ts'
import { type Contender, type StartContender, startDockerRegistry, startVarve } from './registry/contender.ts'
import {
  blobSizes,
  type Content,
  megabyte,
  pushContent,
  pushNames,
  putWhole,
  repository,
  streamBlob,
} from './registry/content.ts'
import { hammer, median, timesPerSecond } from './registry/measure.ts'

interface Line {
  readonly what: string
  /** More is better. */
  measure(contender: Contender, content: Content): Promise<number>
  readonly show: (value: number) => string
}

const turns = 3
const seconds = 3
const nameCount = 10_000
const perSecond = (value: number): string => `${value.toFixed(0)}/s`
const bytesPerSecond = (value: number): string => `${formatBytes(value)}/s`

const lines: readonly Line[] = [
  ...[1, 8, 64].flatMap(connections => [
    get('manifest by tag', () => 'manifests/latest', connections),
    get('manifest by digest', ({ manifest }) => `manifests/${manifest}`, connections),
    head('HEAD blob', connections),
  ]),
  ...blobSizes.flatMap(size => [1, 4, 16].map(connections => pull(size, connections))),
  ...blobSizes.flatMap(size =>
    [1, 4, 16].flatMap(connections => [
      push('streamed', size, connections),
      push('monolithic', size, connections),
    ]),
  ),
  list(`tags/list of ${nameCount} tags, 100 each`, '/v2/bench/tags/tags/list?n=100'),
  list(`_catalog of ${nameCount} repositories, 100 each`, '/v2/_catalog?n=100'),
]

export async function run(only = ''): Promise<void> {
  await ensurePrograms('wrk')
  await using directories = new AsyncDisposableStack()
  const contenders: { contender: Contender; content: Content }[] = []
  for (const start of [startDockerRegistry, startVarve] satisfies StartContender[]) {
    const directory = directories.use(await temporaryDirectory())
    const contender = await start(directory.path)
    directories.defer(() => contender.stop())
    contenders.push({ contender, content: await pushContent(contender.url) })
    if ('tags/list _catalog'.includes(only) || only === '') await pushNames(contender.url, nameCount)
  }

  const rows: string[][] = []
  for (const line of lines.filter(({ what }) => what.includes(only))) {
    const results = contenders.map((): number[] => [])
    for (let turn = 0; turn < turns; turn += 1)
      for (const [index, { contender, content }] of contenders.entries())
        results[index]?.push(await line.measure(contender, content))
    const [peer = Number.NaN, ours = Number.NaN] = results.map(median)
    rows.push([line.what, line.show(peer), line.show(ours), `${(ours / peer).toFixed(2)}×`])
    console.log(rows.at(-1)?.join('  '))
  }
  const [peer = 0, ours = 0] = await Promise.all(contenders.map(({ contender }) => contender.peakMemory()))
  rows.push(['peak memory', formatBytes(peer), formatBytes(ours), `${(ours / peer).toFixed(2)}×`])
  console.log(`\n${formatTable(['', 'docker-registry', 'varve', 'varve / docker-registry'], rows)}`)
}

function get(what: string, path: (content: Content) => string, connections: number): Line {
  return {
    what: `${what}, ${connections} connections`,
    measure: async ({ url }, content) =>
      (await hammer(`${url}/v2/${repository}/${path(content)}`, connections, seconds)).perSecond,
    show: perSecond,
  }
}

/** wrk waits for the body that Content-Length announces, so here Node asks, which both are slowed down by alike. */
function head(what: string, connections: number): Line {
  return {
    what: `${what}, ${connections} connections`,
    measure: async ({ url }, { blobs }) =>
      await timesPerSecond(3000, connections, async () => {
        const { statusCode, body } = await request(`${url}/v2/${repository}/blobs/${blobs.get(1)}`, {
          method: 'HEAD',
        })
        await body.dump()
        if (statusCode !== 200) throw new Error(`HEAD blob: ${statusCode}`)
      }),
    show: perSecond,
  }
}

function pull(size: number, connections: number): Line {
  return {
    what: `pull ${size} MB, ${connections} connections`,
    measure: async ({ url }, { blobs }) =>
      (await hammer(`${url}/v2/${repository}/blobs/${blobs.get(size)}`, connections, seconds)).bytesPerSecond,
    show: bytesPerSecond,
  }
}

/** Each push has content and a repository of its own, so that nothing is found to be there already. */
function push(how: 'streamed' | 'monolithic', size: number, connections: number): Line {
  const send = how === 'streamed' ? streamBlob : putWhole
  const times = Math.max(connections, Math.min(64, 200 / size))
  return {
    what: `push ${size} MB ${how}, ${connections} connections`,
    measure: async ({ url }) => {
      const contents = Array.from({ length: Math.min(times, 8) }, () => randomBytes(size * megabyte))
      const digests = contents.map(bytes => digestOf(bytes))
      const run = digestOf(randomBytes(16)).slice(-12)
      const rate = await timesPerSecond(times, connections, async index => {
        const pick = index % contents.length
        const bytes = contents[pick]
        const digest = digests[pick]
        if (bytes !== undefined && digest !== undefined)
          await send(url, `push/${run}-${index}`, bytes, digest)
      })
      return rate * size * megabyte
    },
    show: bytesPerSecond,
  }
}

function list(what: string, path: string): Line {
  return {
    what,
    measure: async ({ url }) => (await hammer(`${url}${path}`, 8, seconds)).perSecond,
    show: perSecond,
  }
}

if (import.meta.main) await run(process.argv[2])
