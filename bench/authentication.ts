/**
 * Varve with `auth.mode` token (one access token for all, as a client has it for some minutes) and basic, beside the same
 * with none: an account that is a developer of a private tenant, one process each, access logs on. The modes are measured
 * alternately, there and back, in many short turns, so that what disturbs the machine disturbs all alike; and in several
 * rounds, each with new processes, for two of the very same kind differ by as much as a tenth as long as they live. A ratio
 * is the median of those of all turns; in brackets, the lowest and the highest of a round. The last columns compare the
 * processor's time for each request.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { hash } from 'bcryptjs'
import { request } from 'undici'
import { formatTable } from '../src/cli/format.ts'
import { parseAccountName, parseTenantName } from '../src/storage/accounts/names.ts'
import { type Digest, digestOf } from '../src/storage/digest.ts'
import { mediaTypes } from '../src/storage/media-types.ts'
import { openSqliteMetadata } from '../src/storage/metadata/sqlite.ts'
import { ensurePrograms } from '../test/support/programs.ts'
import { RegistryClient } from '../test/support/registry-client.ts'
import { temporaryDirectory } from '../test/support/temporary-directory.ts'
import { varveWith } from './registry/contender.ts'
import { expect } from './registry/content.ts'
import { hammer, median, timesPerSecond } from './registry/measure.ts'

type Headers = Readonly<Record<string, string>>

/** One mode, with a registry that has the content. */
interface Mode {
  readonly name: string
  readonly url: string
  /** What an account shows with each request. */
  readonly headers: Headers
  /** Time that its process has taken so far. */
  cpuSeconds(): Promise<number>
}

interface Done {
  readonly perSecond: number
  readonly requests: number
}

interface Line {
  readonly what: string
  measure(mode: Mode): Promise<Done>
}

const names = ['none', 'token', 'basic']
const rounds = 9
const turns = 4
const seconds = 1
const warmUpSeconds = 2
const repository = 'bench/app'
const account = { name: parseAccountName('dave'), tenant: parseTenantName('bench') }
const smallBytes = 4096
const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
const layer = randomBytes(smallBytes)

const lines: readonly Line[] = [
  ...[1, 8].map(connections => ({
    what: `manifest by tag, ${connections} connections`,
    measure: async ({ url, headers }: Mode) => {
      const manifest = `${url}/v2/${repository}/manifests/latest`
      const { perSecond } = await hammer(manifest, connections, seconds, headers)
      return { perSecond, requests: perSecond * seconds }
    },
  })),
  { what: 'HEAD blob, 8 connections', measure: headBlobs },
  { what: `push ${smallBytes} bytes, 8 connections`, measure: pushBlobs },
]

export async function run(only = ''): Promise<void> {
  await ensurePrograms('wrk')
  const chosen = lines.filter(({ what }) => what.includes(only))
  const tables = chosen.map((): Turn[][] => [])
  for (let round = 0; round < rounds; round += 1) {
    await using stack = new AsyncDisposableStack()
    const modes: Mode[] = []
    for (const name of names) modes.push(await open(name, stack))
    for (const [index, line] of chosen.entries()) tables[index]?.push(await takeTurns(line, modes))
    console.log(`round ${round + 1} of ${rounds}`)
  }
  const rows = chosen.map(({ what }, index) => rowOf(what, tables[index] ?? []))
  const ratios = names.slice(1).map(name => `${name} / ${names[0]}`)
  console.log(`\n${formatTable(['', ...names, ...ratios, ...ratios.map(text => `${text}, CPU`)], rows)}`)
}

/** Of each mode, in their order. */
type Turn = readonly Measured[]

interface Measured {
  readonly perSecond: number
  /** For each second of the processor. */
  readonly perCpuSecond: number
}

async function takeTurns(line: Line, modes: readonly Mode[]): Promise<Turn[]> {
  const taken: Turn[] = []
  const there = [...modes.entries()]
  for (let turn = 0; turn < turns; turn += 1) {
    const measured: Measured[] = []
    for (const [index, mode] of turn % 2 === 0 ? there : there.toReversed()) {
      const before = await mode.cpuSeconds()
      const { perSecond, requests } = await line.measure(mode)
      measured[index] = { perSecond, perCpuSecond: requests / ((await mode.cpuSeconds()) - before) }
    }
    taken.push(measured)
  }
  return taken
}

/** @param table the turns of each round. */
function rowOf(what: string, table: readonly (readonly Turn[])[]): string[] {
  const turnsOfAll = table.flat()
  const rates = names.map(
    (_, mode) => `${median(turnsOfAll.map(turn => turn[mode]?.perSecond ?? Number.NaN)).toFixed(0)}/s`,
  )
  const ratioOf = (mode: number, field: keyof Measured): string => {
    const of = (some: readonly Turn[]): number =>
      100 * median(some.map(turn => (turn[mode]?.[field] ?? Number.NaN) / (turn[0]?.[field] ?? Number.NaN)))
    const ofRounds = table.map(of)
    const [lowest, highest] = [Math.min(...ofRounds), Math.max(...ofRounds)]
    return `${of(turnsOfAll).toFixed(0)} % (${lowest.toFixed(0)}–${highest.toFixed(0)})`
  }
  const others = names.map((_, mode) => mode).slice(1)
  return [
    what,
    ...rates,
    ...others.map(mode => ratioOf(mode, 'perSecond')),
    ...others.map(mode => ratioOf(mode, 'perCpuSecond')),
  ]
}

async function open(name: string, stack: AsyncDisposableStack): Promise<Mode> {
  const directory = stack.use(await temporaryDirectory())
  const isAsked = name !== 'none'
  const auth = isAsked ? { mode: name, accessTokenSeconds: 86_400 } : { mode: name }
  const contender = await varveWith({ auth })(directory.path)
  stack.defer(() => contender.stop())
  const { url } = contender
  const headers = isAsked ? await headersFor(name, url, directory.path) : {}
  await push(url, headers)
  await hammer(`${url}/v2/${repository}/manifests/latest`, 8, warmUpSeconds, headers)
  return { name, url, headers, cpuSeconds: () => contender.cpuSeconds() }
}

async function headersFor(mode: string, url: string, data: string): Promise<Headers> {
  const password = randomBytes(16).toString('hex')
  await using metadata = await openSqliteMetadata(join(data, 'registry', 'varve.db'))
  await metadata.createTenant({ name: account.tenant })
  await metadata.createAccount({ name: account.name, kind: 'user', passwordHash: await hash(password, 10) })
  await metadata.setMember(account.tenant, account.name, 'developer')
  const authorization = `Basic ${Buffer.from(`${account.name}:${password}`).toString('base64')}`
  if (mode === 'basic') return { authorization }
  const scope = `repository:${repository}:pull,push`
  const query = new URLSearchParams({ service: 'varve', scope }).toString()
  const response = await request(`${url}/token?${query}`, { headers: { authorization } })
  const { token } = (await response.body.json()) as { readonly token: string }
  return { authorization: `Bearer ${token}` }
}

async function push(url: string, headers: Headers): Promise<void> {
  const descriptor = (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  })
  for (const blob of [config, layer]) await pushBlob(url, blob, digestOf(blob), headers)
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(mediaTypes.ociConfig, config),
      layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
    }),
  )
  const at = `${url}/v2/${repository}/manifests/latest`
  await expect(201, 'PUT', at, manifest, mediaTypes.ociManifest, headers)
}

async function pushBlob(url: string, bytes: Buffer, digest: Digest, headers: Headers): Promise<void> {
  const at = `${url}/v2/${repository}/blobs/uploads/?digest=${digest}`
  await expect(201, 'POST', at, bytes, 'application/octet-stream', headers)
}

async function headBlobs({ url, headers }: Mode): Promise<Done> {
  const client = new RegistryClient(url)
  const path = `/v2/${repository}/blobs/${digestOf(layer)}`
  const requests = 3000
  const perSecond = await timesPerSecond(requests, 8, async () => {
    const { status } = await client.send('HEAD', path, { headers })
    if (status !== 200) throw new Error(`HEAD blob: ${status}`)
  })
  return { perSecond, requests }
}

/** Each of other content, so that nothing is there already. */
async function pushBlobs({ url, headers }: Mode): Promise<Done> {
  const contents = Array.from({ length: 200 }, () => randomBytes(smallBytes))
  const digests = contents.map(bytes => digestOf(bytes))
  const perSecond = await timesPerSecond(contents.length, 8, async index => {
    const [bytes, digest] = [contents[index], digests[index]]
    if (bytes !== undefined && digest !== undefined) await pushBlob(url, bytes, digest, headers)
  })
  return { perSecond, requests: contents.length }
}

if (import.meta.main) await run(process.argv[2])
