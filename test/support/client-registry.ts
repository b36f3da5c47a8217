import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, realpath } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Digest, parseDigest } from '../../src/storage/digest.ts'
import { findTag, readManifest } from '../fixtures/image/oci-layout.ts'
import { type FixtureImage, fixtureImage, fixturePrograms } from '../fixtures/make-image.ts'
import { keepLog } from './log-lines.ts'
import { removeWithMounts } from './mounts.ts'
import { exec } from './process.ts'
import { startRegistry } from './registry.ts'
import { RegistryClient } from './registry-client.ts'

/** Programs that {@link startClientRegistry} takes, for `skipWithout`. */
export const clientRegistryPrograms: readonly string[] = [...fixturePrograms, 'skopeo']

/** A registry that holds the fixture images, for the programs that people have. */
export interface ClientRegistry {
  /** `127.0.0.1:port`, as clients write it in front of a repository's name. */
  readonly host: string
  readonly url: string
  readonly fixture: FixtureImage
  /** In this repository the fixture images have the tags that they have in the fixture's layout. */
  readonly origin: string
  /** An image of the origin whose layers are compressed with zstd; all its layers are of the fixture's `branch`. */
  readonly zstd: { readonly tag: string; readonly digest: Digest }
  /** Where the clients work. Goes with the registry. */
  readonly directory: string
  readonly client: RegistryClient
  /** Of what the reference names. Fails the test when it names nothing. */
  digest(repository: string, reference: string): Promise<Digest>
  tags(repository: string): Promise<readonly string[]>
  /** The lines of the access log for all that `work` asks of the registry. */
  requests(work: () => Promise<unknown>): Promise<readonly LoggedRequest[]>
  stop(): Promise<void>
}

export interface LoggedRequest {
  /** Such as `blob.get`. */
  readonly operation: string
  readonly status: number
  /** Of the request's body. */
  readonly bytesIn: number
}

export async function startClientRegistry(): Promise<ClientRegistry> {
  await using stack = new AsyncDisposableStack()
  const fixture = await fixtureImage()
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'varve-clients-')))
  stack.defer(() => removeWithMounts(directory))
  const kept = keepLog()
  const { url } = stack.use(await startRegistry({ log: kept.log }))
  const { host } = new URL(url)
  const origin = 'fixture/debian'
  const fill = (layout: string, tag: string): Promise<string> =>
    skopeoCopy('--all', '--preserve-digests', `oci:${layout}:${tag}`, `docker://${host}/${origin}:${tag}`)
  for (const { tag } of [fixture.layers, fixture.branch, fixture.index]) await fill(fixture.layout, tag)
  const zstd = await compressAgain(fixture, join(directory, 'zstd'))
  await fill(zstd.layout, zstd.tag)

  const client = new RegistryClient(url)
  const digest = async (repository: string, reference: string): Promise<Digest> => {
    const { status, headers } = await client.send('HEAD', `/v2/${repository}/manifests/${reference}`)
    assert.equal(status, 200, `${repository}:${reference}`)
    return parseDigest(headers['docker-content-digest'] ?? '')
  }
  const tags = async (repository: string): Promise<readonly string[]> => {
    const { bytes } = await client.send('GET', `/v2/${repository}/tags/list`)
    return (JSON.parse(bytes.toString()) as { tags: string[] }).tags
  }
  const requests = async (work: () => Promise<unknown>): Promise<readonly LoggedRequest[]> => {
    const seen = kept.lines().length
    await work()
    // A line is written after the client has its answer, but in the order of the answers.
    const requestId = randomUUID()
    await client.send('GET', '/v2/', { headers: { 'x-request-id': requestId } })
    await kept.find(line => line['requestId'] === requestId)
    return (kept.lines() as unknown as (LoggedRequest & { requestId: string })[])
      .slice(seen)
      .filter(line => line.operation !== undefined && line.requestId !== requestId)
  }
  const owned = stack.move()
  const stop = () => owned.disposeAsync()
  return { host, url, fixture, origin, zstd, directory, client, digest, tags, requests, stop }
}

async function compressAgain(
  { layout: from, branch }: FixtureImage,
  layout: string,
): Promise<{ readonly layout: string; readonly tag: string; readonly digest: Digest }> {
  const tag = 'debian-zstd'
  const form = ['--dest-compress', '--dest-compress-format', 'zstd']
  await skopeoCopy(...form, `oci:${from}:${branch.tag}`, `oci:${layout}:${tag}`)
  const { digest } = await findTag(layout, tag)
  const manifest = await readManifest(layout, digest)
  assert.ok(
    manifest.kind === 'image' && manifest.layers.every(({ mediaType }) => mediaType.endsWith('+zstd')),
  )
  return { layout, tag, digest }
}

/** Bytes of blobs that came in; a mount brings none. */
export function uploadedBytes(requests: readonly LoggedRequest[]): number {
  return requests
    .filter(({ operation }) => operation.startsWith('upload.'))
    .reduce((sum, { bytesIn }) => sum + bytesIn, 0)
}

/** `skopeo copy` between registries without TLS and anything else. */
export function skopeoCopy(...args: readonly string[]): Promise<string> {
  return exec('skopeo', ['copy', '--src-tls-verify=false', '--dest-tls-verify=false', ...args])
}
