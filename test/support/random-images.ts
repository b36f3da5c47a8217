import fc from 'fast-check'
import type { Digest } from '../../src/storage/digest.ts'
import { edgesOf, parseManifest } from '../../src/storage/manifest.ts'
import type { StoredManifest } from '../../src/storage/metadata/manifest-records.ts'
import { ImageGraph } from './image-graph.ts'

export interface RandomImages {
  readonly graph: ImageGraph
  readonly root: StoredManifest
}

/** Images that share layers, indexes of them and of each other, and what refers to any of them; one is the root. */
export const randomImages: fc.Arbitrary<RandomImages> = fc
  .record({
    images: fc.array(fc.array(fc.nat(7), { maxLength: 4 }), { minLength: 1, maxLength: 6 }),
    indexes: fc.array(fc.array(fc.nat(20), { minLength: 1, maxLength: 4 }), { maxLength: 4 }),
    referrers: fc.array(fc.record({ subject: fc.nat(30), isIndex: fc.boolean() }), { maxLength: 6 }),
    root: fc.nat(20),
  })
  .map(({ images, indexes, referrers, root }) => {
    const graph = new ImageGraph()
    const made: StoredManifest[] = images.map((layers, number) =>
      graph.image({
        layers: layers.map(layer => `layer ${layer}`.repeat(layer)),
        config: `config ${number}`,
      }),
    )
    const pick = (number: number): StoredManifest => made[number % made.length] ?? graph.image({ layers: [] })
    for (const children of indexes) made.push(graph.index(children.map(child => ({ child: pick(child) }))))
    const chosen = pick(root)
    for (const [number, { subject: of, isIndex }] of referrers.entries()) {
      const { digest, mediaType, size } = pick(of)
      const subject = { digest, mediaType, size }
      const signature = graph.image({
        layers: [`signature ${number}`],
        ...(isIndex ? {} : { subject: pick(of) }),
        artifactType: 'a/signature',
      })
      made.push(isIndex ? graph.index([{ child: signature }], { subject }) : signature)
    }
    return { graph, root: chosen }
  })

export interface Reachable {
  readonly manifests: ReadonlySet<Digest>
  readonly blobs: ReadonlySet<Digest>
}

/** What belongs to an image: all that it names, and with `referrers` also what refers to any of that, again and again. */
export function reachable(
  { graph, root }: RandomImages,
  { referrers }: { readonly referrers: boolean },
): Reachable {
  const manifests = new Set<Digest>()
  const blobs = new Set<Digest>()
  const pending = [root]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (manifests.has(next.digest)) continue
    manifests.add(next.digest)
    for (const { role, descriptor } of edgesOf(parseManifest(next.bytes))) {
      const child = graph.manifests.get(descriptor.digest)
      if (role === 'child' && child !== undefined) pending.push(child)
      if (role === 'config' || role === 'layer') blobs.add(descriptor.digest)
    }
    if (referrers) pending.push(...referrersOf(graph, next.digest))
  }
  return { manifests, blobs }
}

export function referrersOf(graph: ImageGraph, subject: Digest): StoredManifest[] {
  return [...graph.manifests.values()].filter(({ bytes }) => parseManifest(bytes).subject?.digest === subject)
}
