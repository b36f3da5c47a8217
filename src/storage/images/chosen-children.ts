import { DomainError } from '../../errors.ts'
import type { Descriptor } from '../descriptor.ts'
import type { ImageIndex } from '../manifest.ts'
import { formatPlatform, type Platform, satisfies } from '../platform.ts'

/** BuildKit's: which child of the index an attestation is about (docs of its attestation storage). */
const attestedDigest = 'vnd.docker.reference.digest'

export interface ChosenChild {
  readonly descriptor: Descriptor
  /** It was asked for by name, so it has to be there. */
  readonly isWanted: boolean
}

/**
 * The children for these platforms (all, when none is given), what is attested of them, and those that do not say a
 * platform, each once.
 */
export function chooseChildren({ manifests }: ImageIndex, only: readonly Platform[]): ChosenChild[] {
  const matching = manifests.filter(child => isFor(child, only))
  const matched = new Set<string>(matching.map(({ digest }) => digest))
  const chosen = new Map<string, ChosenChild>()
  for (const descriptor of manifests) {
    const isWanted = matched.has(descriptor.digest)
    const isAttestation = matched.has(descriptor.annotations?.[attestedDigest] ?? '')
    const goesAlong = only.length === 0 || descriptor.platform === undefined || isAttestation
    if ((isWanted || goesAlong) && !chosen.has(descriptor.digest))
      chosen.set(descriptor.digest, { descriptor, isWanted })
  }
  return [...chosen.values()]
}

/** The first child for the platform: an index says its order of preference. */
export function childFor({ manifests }: ImageIndex, wanted: Platform): Descriptor | undefined {
  return manifests.find(child => isFor(child, [wanted]))
}

function isFor({ platform }: Descriptor, only: readonly Platform[]): boolean {
  return platform !== undefined && only.some(wanted => satisfies(platform, wanted))
}

/** Platforms that an error names; an index may have thousands. */
const maxNamed = 20

/** @param where what the image is called, for people. */
export function noSuchPlatform(where: string, index: ImageIndex, wanted: readonly Platform[]): DomainError {
  const offered = index.manifests.flatMap(({ platform }) => (platform === undefined ? [] : [platform]))
  const names = [...new Set(offered.map(formatPlatform))].filter(name => name !== 'unknown/unknown')
  const name = wanted.map(formatPlatform).join(', ')
  const choice = names.slice(0, maxNamed).join(', ') || 'none that says its platform'
  return new DomainError(
    'not_found',
    `The image of ${where} is not there for ${name}; it is for: ${choice}.`,
    {
      resource: 'platform',
      name,
    },
  )
}
