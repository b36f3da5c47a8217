import { join } from 'node:path'
import { createTrustGate } from '../../src/cli/registry/trust.ts'
import { createLogger } from '../../src/log.ts'
import { createRegistryApp } from '../../src/registry/app.ts'
import type { AccessController } from '../../src/registry/auth/access-controller.ts'
import type { PullLog } from '../../src/registry/events/pull-recorder.ts'
import { defaultServerTimeouts, listen } from '../../src/registry/server.ts'
import { TrustJudge } from '../../src/registry/trust/trust-judge.ts'
import { parseTenantName } from '../../src/storage/accounts/names.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** A registry whose tenant `acme` may have a trust policy. Whoever says nothing may push; `reader` may only pull. */
export interface TrustRegistry extends AsyncDisposable {
  readonly url: string
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly metadata: Metadata
  readonly judge: TrustJudge
  /** Digests of the manifests that were recorded as pulled. */
  readonly pulls: readonly string[]
  /** Of the tenant. A new tenant is made for each, so that no policy is ever out of date. */
  tenantWith(policy: unknown): Promise<string>
  putBlob(repository: string, bytes: Uint8Array): Promise<Digest>
  putManifest(repository: string, manifest: object, reference?: string): Promise<Digest>
  /** With one layer that is distinct by its text. */
  putImage(repository: string, text: string, tag?: string): Promise<Digest>
  putIndex(repository: string, children: readonly Digest[], tag?: string): Promise<Digest>
  /** As cosign 2 keeps them: all signatures of an image in one manifest with a tag. */
  putCosign(repository: string, image: Digest, signatures: readonly CosignLayer[]): Promise<Digest>
  /** An artifact whose subject is the image. */
  putReferrer(repository: string, image: Digest, referrer: TestReferrer): Promise<Digest>
  pull(repository: string, reference: string, as?: 'reader' | 'pusher'): Promise<Pulled>
}

export interface CosignLayer {
  readonly payload: Uint8Array
  readonly annotations: Readonly<Record<string, string>>
}

export interface TestReferrer {
  readonly artifactType: string
  readonly layerType: string
  readonly bytes: Uint8Array
}

export interface Pulled {
  readonly status: number
  /** Of the error. */
  readonly message: string
  readonly code: string
  readonly warning: string | null
}

/** Says who may push by what a test writes into the header. */
const access: AccessController = {
  authorize: async ({ authorization }) => {
    const isReader = authorization === 'Basic reader'
    return {
      account: null,
      isAdmin: !isReader,
      tenants: [],
      credential: undefined,
      rule: 'test',
      decide: async wanted => ({
        isAllowed: !isReader || (wanted.kind === 'repository' && wanted.action === 'pull'),
        rule: 'test',
      }),
      mayPush: async () => !isReader,
    }
  },
}

const manifestOf = { schemaVersion: 2, mediaType: mediaTypes.ociManifest }

export async function startTrustRegistry(options: { directory?: string } = {}): Promise<TrustRegistry> {
  await using stack = new AsyncDisposableStack()
  const directory = options.directory ?? stack.use(await temporaryDirectory()).path
  const objects = await FilesystemObjectStore.open(directory)
  const metadata = stack.use(await openSqliteMetadata(join(directory, 'varve.db')))
  const blobs = new ObjectBlobStore({ objects, metadata })
  const pulls: string[] = []
  const log: PullLog = { record: ({ digest }) => void pulls.push(digest) }
  const app = createRegistryApp({
    blobs,
    metadata,
    pulls: log,
    log: createLogger({ level: 'silent' }),
    security: { access, trust: createTrustGate({ metadata, blobs }) },
  })
  const timeouts = { ...defaultServerTimeouts, stopMs: 1000 }
  const server = await listen(app.callback(), { host: '127.0.0.1', port: 0 }, timeouts)
  stack.defer(() => server.close())
  const owned = stack.move()

  const sent = async (response: Response): Promise<Response> => {
    if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`)
    return response
  }
  const putBlob = async (repository: string, bytes: Uint8Array): Promise<Digest> => {
    const digest = digestOf(bytes)
    const url = `${server.url}/v2/${repository}/blobs/uploads/?digest=${digest}`
    const headers = { 'content-type': 'application/octet-stream' }
    await sent(await fetch(url, { method: 'POST', body: new Uint8Array(bytes), headers }))
    return digest
  }
  const putManifest = async (repository: string, manifest: object, reference?: string): Promise<Digest> => {
    const bytes = Buffer.from(JSON.stringify(manifest))
    const digest = digestOf(bytes)
    const url = `${server.url}/v2/${repository}/manifests/${reference ?? digest}`
    await sent(await fetch(url, { method: 'PUT', body: bytes }))
    return digest
  }
  const descriptor = async (repository: string, bytes: Uint8Array, mediaType: string) => ({
    mediaType,
    size: bytes.length,
    digest: await putBlob(repository, bytes),
  })
  const config = (repository: string) => descriptor(repository, Buffer.from('{}'), mediaTypes.ociConfig)
  const sizes = new Map<Digest, number>()

  return {
    url: server.url,
    host: new URL(server.url).host,
    metadata,
    judge: new TrustJudge({ records: metadata, blobs }),
    pulls,
    putBlob,
    putManifest,
    tenantWith: async policy => {
      tenantCount += 1
      const name = `acme${tenantCount}`
      const text = typeof policy === 'string' ? policy : JSON.stringify(policy)
      await metadata.createTenant({ name: parseTenantName(name), trustPolicy: text })
      return name
    },
    putImage: async (repository, text, tag) => {
      const layer = await descriptor(repository, Buffer.from(text), 'application/vnd.oci.image.layer.v1.tar')
      const manifest = { ...manifestOf, config: await config(repository), layers: [layer] }
      const digest = await putManifest(repository, manifest, tag)
      sizes.set(digest, JSON.stringify(manifest).length)
      return digest
    },
    putIndex: async (repository, children, tag) => {
      const manifests = children.map(digest => ({
        mediaType: mediaTypes.ociManifest,
        digest,
        size: sizes.get(digest) ?? 1,
      }))
      const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }
      const digest = await putManifest(repository, index, tag)
      sizes.set(digest, JSON.stringify(index).length)
      return digest
    },
    putCosign: async (repository, image, signatures) => {
      const layers = []
      for (const { payload, annotations } of signatures) {
        const type = 'application/vnd.dev.cosign.simplesigning.v1+json'
        layers.push({ ...(await descriptor(repository, payload, type)), annotations })
      }
      const tag = `${image.replace(':', '-')}.sig`
      return putManifest(repository, { ...manifestOf, config: await config(repository), layers }, tag)
    },
    putReferrer: async (repository, image, { artifactType, layerType, bytes }) =>
      putManifest(repository, {
        ...manifestOf,
        artifactType,
        config: await descriptor(repository, Buffer.from('{}'), 'application/vnd.oci.empty.v1+json'),
        layers: [await descriptor(repository, bytes, layerType)],
        subject: { mediaType: mediaTypes.ociManifest, digest: image, size: sizes.get(image) ?? 1 },
      }),
    pull: async (repository, reference, as = 'reader') => {
      const headers: Record<string, string> = as === 'reader' ? { authorization: 'Basic reader' } : {}
      const response = await fetch(`${server.url}/v2/${repository}/manifests/${reference}`, { headers })
      const { errors: [error] = [] } = (await response.json()) as {
        errors?: { code: string; message: string }[]
      }
      const { message = '', code = '' } = error ?? {}
      return { status: response.status, message, code, warning: response.headers.get('warning') }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

let tenantCount = 0
