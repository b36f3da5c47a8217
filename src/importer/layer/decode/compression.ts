import { type LayerCompression, layerCompressionOf } from '../../../storage/media-types.ts'
import { invalidLayer, unsupportedLayer } from '../layer-errors.ts'

/** Enough first bytes to tell every compression below from the others, and from a tar header. */
export const magicBytes = 10

type Found = LayerCompression | 'bzip2' | 'xz'

/** undefined stands for any byte. */
const magics: readonly { readonly of: Found; readonly bytes: readonly (number | undefined)[] }[] = [
  { of: 'gzip', bytes: [0x1f, 0x8b, 0x08] },
  { of: 'zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { of: 'bzip2', bytes: [0x42, 0x5a, 0x68, undefined, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59] },
  { of: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
]

/**
 * How to read a layer's bytes. The media type decides and the first bytes must agree: one blob that is two
 * layers to two readers is an attack. One disagreement is common enough to be let pass: plain tar under a gzip type.
 * @param head the first {@link magicBytes} bytes, or all when there are fewer.
 * @throws DomainError `unsupported`, `invalid`.
 */
export function chooseCompression(mediaType: string, head: Uint8Array): LayerCompression {
  const promised = layerCompressionOf(mediaType)
  if (promised === undefined)
    throw unsupportedLayer(`${JSON.stringify(mediaType)} is not the media type of a filesystem layer`)
  if (head.length === 0) return 'none'
  const found = compressionOf(head)
  if (found === promised || (promised === 'gzip' && found === 'none')) return found
  if (found !== 'none' && found !== 'gzip' && found !== 'zstd')
    throw unsupportedLayer(`it is compressed with ${found}; rebuild the image with gzip or zstd`)
  throw invalidLayer(
    `its media type ${mediaType} says compression "${promised}" and its first bytes say "${found}"`,
  )
}

/** A skippable frame (RFC 8878, 3.1.2) may come first; its magic has sixteen forms. */
function isSkippableFrame(head: Uint8Array): boolean {
  const [first = 0, second, third, fourth] = head
  return (first & 0xf0) === 0x50 && second === 0x2a && third === 0x4d && fourth === 0x18
}

function compressionOf(head: Uint8Array): Found {
  if (isSkippableFrame(head)) return 'zstd'
  const isOf = (bytes: readonly (number | undefined)[]): boolean =>
    bytes.every((byte, index) => byte === undefined || head[index] === byte)
  return magics.find(({ bytes }) => isOf(bytes))?.of ?? 'none'
}
