import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Digest } from '../../src/storage/digest.ts'
import { descriptor, type ImagePusher, type PushedManifest } from './image-pusher.ts'

export interface OldContent {
  /** Images and indexes that have a tag, artifacts that have none. */
  readonly images: number
  /** A repository, the subject in it, and what refers to that. */
  readonly referrers: {
    readonly repository: string
    readonly subject: Digest
    readonly digests: readonly Digest[]
  }
  /** Tags that were deleted with their manifest, as `repository:tag`. */
  readonly deleted: readonly string[]
}

/**
 * What years of use leave in a registry: fifty images of all kinds in nested repositories, layers that they share,
 * artifacts that refer to images, deleted manifests, tags that moved, an upload that nobody ended.
 */
export async function pushOldContent(pusher: ImagePusher): Promise<OldContent> {
  const base = randomBytes(200_000)
  const layers = (): Buffer[] => [base, randomBytes(1000 + Math.floor(Math.random() * 50_000))]
  const forms = ['docker', 'oci', 'oci-untyped'] as const
  let images = 0
  for (let index = 0; index < 30; index += 1) {
    const repository = ['team/app', 'team/app/sub', 'solo', 'a/b/c-d/e_f'][index % 4] ?? ''
    await pusher.image(repository, `v${index}`, { form: forms[index % 3], layers: layers() })
    images += 1
  }
  for (const form of [...forms, ...forms]) {
    const repository = `multi/${form}`
    const child = form === 'docker' ? 'docker' : 'oci'
    const children: PushedManifest[] = []
    for (const _ of ['amd64', 'arm64'])
      children.push(await pusher.image(repository, undefined, { form: child, layers: layers() }))
    await pusher.index(repository, `list-${images}`, children, form)
    images += 3
  }
  const repository = 'team/signed'
  const subject = await pusher.image(repository, 'signed', { layers: layers() })
  images += 1
  const digests: Digest[] = []
  const kinds = ['application/vnd.example.signature', 'application/vnd.example.sbom'] as const
  for (const artifactType of [...kinds, undefined]) {
    const more = {
      ...(artifactType === undefined ? {} : { artifactType }),
      subject: descriptor(subject.mediaType, subject.bytes),
      annotations: { 'org.example.number': String(images) },
    }
    digests.push((await pusher.image(repository, undefined, { layers: [randomBytes(50)], more })).digest)
    images += 1
  }
  // A tag that moved: the earlier manifest can still be pulled by digest.
  for (const _ of ['first', 'second']) await pusher.image('team/moved', 'latest', { layers: layers() })
  images += 2

  const deleted = ['team/app:gone', 'solo:gone', 'lost/all:gone']
  for (const name of deleted) {
    const [from = '', tag = ''] = name.split(':')
    const { digest } = await pusher.image(from, tag, { form: 'docker', layers: layers() })
    const { status } = await pusher.client.send('DELETE', `/v2/${from}/manifests/${digest}`)
    assert.equal(status, 202)
  }
  await pusher.client.send('POST', '/v2/uploads/only/blobs/uploads/')
  await pusher.client.send('POST', '/v2/solo/blobs/uploads/')
  return { images, referrers: { repository, subject: subject.digest, digests }, deleted }
}
