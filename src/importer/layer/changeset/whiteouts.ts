import { type ByteString, asByteString, show } from '../byte-string.ts'
import type { LayerPath } from '../entry.ts'
import { invalidLayer } from '../layer-errors.ts'

/** What an entry means by its name. The type and content of a whiteout mean nothing (hard-linked ones exist). */
export type Meaning =
  | { readonly kind: 'content' }
  /** Hides what the layers below have at `target`, a name next to it. */
  | { readonly kind: 'whiteout'; readonly target: ByteString }
  /** Hides all that the layers below have in the directory that it is in. */
  | { readonly kind: 'opaque' }
  /** What the AUFS driver of old left in layers; never content. */
  | { readonly kind: 'leftover' }

const content: Meaning = Object.freeze({ kind: 'content' })
const opaque: Meaning = Object.freeze({ kind: 'opaque' })
const leftover: Meaning = Object.freeze({ kind: 'leftover' })

const prefix = '.wh.'
const metaPrefix = '.wh..wh.'
const opaqueMarker = '.wh..wh..opq'
const aufsLeftovers: ReadonlySet<string> = new Set(['.wh..wh.aufs', '.wh..wh.orph', '.wh..wh.plnk'])

/**
 * Source: OCI image-spec, layer.md, "Whiteouts". Only the last component counts: `.wh.` further up is a
 * directory's odd name.
 * @throws DomainError `invalid` for a whiteout of nothing, of `.`, of `..` and of an unknown AUFS meta name:
 * elsewhere these have deleted the directory itself or the one above it.
 */
export function meaningOf(path: LayerPath): Meaning {
  const [top] = path
  const name = path.at(-1)
  if (top === undefined || name === undefined) return content
  if (aufsLeftovers.has(top)) return leftover
  if (!name.startsWith(prefix)) return content
  if (name === opaqueMarker) return opaque
  const target = asByteString(name.slice(prefix.length))
  if (target === '' || target === '.' || target === '..' || name.startsWith(metaPrefix))
    throw invalidLayer(`${show(asByteString(path.join('/')))} is not a whiteout that means anything`)
  return { kind: 'whiteout', target }
}
